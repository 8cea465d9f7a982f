/**
 * The candidates of a placement as one text: it is in every assignment, is read by few, and as arrays of arrays it
 * would be parsed, kept and written again by every server. A row per line, its fields separated by tabs.
 */
const FIELD = '\t';
const ROW = '\n';

/** [node, cpu %, memory %, running, slots, score, why not, cores reserved, MiB reserved, speed]: see PlacementRecord.candidates. */
export type CandidateRow = readonly [
  node: string,
  cpu: number | null,
  memory: number | null,
  running: number,
  slots: number,
  score: number | null,
  why: string | null,
  cpuReserved: number | null,
  memoryReservedMb: number | null,
  speed: number | null,
];

export function encodeRows(rows: readonly CandidateRow[]): string {
  let text = '';
  for (const [node, cpu, memory, running, slots, score, why, cores, mib, speed] of rows) {
    if (text !== '') text += ROW;
    text += `${plain(node)}${FIELD}${cpu ?? ''}${FIELD}${memory ?? ''}${FIELD}${running}${FIELD}${slots}`;
    text += `${FIELD}${score ?? ''}${FIELD}${why === null ? '' : plain(why)}`;
    text += `${FIELD}${cores ?? ''}${FIELD}${mib ?? ''}${FIELD}${speed ?? ''}`;
  }
  return text;
}

export function decodeRows(text: string): readonly CandidateRow[] {
  return text === '' ? [] : text.split(ROW).map(decodeRow);
}

function decodeRow(row: string): CandidateRow {
  const fields = row.split(FIELD);
  const why = fields[6] ?? '';
  return [
    fields[0] ?? '',
    numberOf(fields[1]),
    numberOf(fields[2]),
    Number(fields[3]),
    Number(fields[4]),
    numberOf(fields[5]),
    why === '' ? null : why,
    // Absent in logs written before these were recorded.
    numberOf(fields[7]),
    numberOf(fields[8]),
    numberOf(fields[9]),
  ];
}

function numberOf(text: string | undefined): number | null {
  return text === undefined || text === '' ? null : Number(text);
}

/** Labels and names may hold anything. */
function plain(text: string): string {
  return /[\t\n]/.test(text) ? text.replaceAll(/[\t\n]/g, ' ') : text;
}
