/** Aligned columns with a header, two blanks between them, nothing at the end of a line. */

export interface Column<Row> {
  readonly header: string;
  readonly value: (row: Row) => string;
  /** Numbers stand right. */
  readonly align?: 'right';
  /** Wraps the padded cell, in color say; must not change what is seen of it. */
  readonly paint?: (cell: string, row: Row) => string;
}

/** Lines of the table, header first; only the header where there are no rows. */
export function table<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): readonly string[] {
  const cells = rows.map((row) => columns.map((column) => column.value(row)));
  const widths = columns.map((column, c) =>
    Math.max(column.header.length, ...cells.map((row) => displayWidth(row[c] ?? ''))),
  );
  const pad = (text: string, c: number): string => {
    const blanks = ' '.repeat(Math.max(0, (widths[c] ?? 0) - displayWidth(text)));
    if (columns[c]?.align === 'right') return blanks + text;
    return c === columns.length - 1 ? text : text + blanks;
  };
  const header = columns.map((column, c) => pad(column.header, c)).join('  ');
  const lines = rows.map((row, r) =>
    columns
      .map((column, c) => {
        const cell = pad(cells[r]?.[c] ?? '', c);
        return column.paint === undefined ? cell : column.paint(cell, row);
      })
      .join('  '),
  );
  return [header, ...lines].map((line) => line.trimEnd());
}

/** Columns a text takes on a terminal, near enough: code points, those of East Asian scripts and emoji twice. */
export function displayWidth(text: string): number {
  let width = 0;
  for (const char of text) width += WIDE.test(char) ? 2 : 1;
  return width;
}

const WIDE =
  /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}/u;
