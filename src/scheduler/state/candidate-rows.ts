/**
 * The candidates of a placement as one text: it is in every assignment, is read by few, and as arrays of arrays it
 * would be parsed, kept and written again by every server. A row per line, its fields separated by tabs.
 */
const FIELD = '\t';
const ROW = '\n';

/** [node, cpu %, memory %, running, slots, score, why not]: see PlacementRecord.candidates. */
export type CandidateRow = readonly [
  node: string,
  cpu: number | null,
  memory: number | null,
  running: number,
  slots: number,
  score: number | null,
  why: string | null,
];

export function encodeRows(rows: readonly CandidateRow[]): string {
  let text = '';
  for (const [node, cpu, memory, running, slots, score, why] of rows) {
    if (text !== '') text += ROW;
    text += `${plain(node)}${FIELD}${cpu ?? ''}${FIELD}${memory ?? ''}${FIELD}${running}${FIELD}${slots}`;
    text += `${FIELD}${score ?? ''}${FIELD}${why === null ? '' : plain(why)}`;
  }
  return text;
}

export function decodeRows(text: string): readonly CandidateRow[] {
  if (text === '') return [];
  return text.split(ROW).map((row) => {
    const [node = '', cpu = '', memory = '', running = '', slots = '', score = '', why = ''] =
      row.split(FIELD);
    return [
      node,
      numberOf(cpu),
      numberOf(memory),
      Number(running),
      Number(slots),
      numberOf(score),
      why === '' ? null : why,
    ];
  });
}

function numberOf(text: string): number | null {
  return text === '' ? null : Number(text);
}

/** Labels and names may hold anything. */
function plain(text: string): string {
  return /[\t\n]/.test(text) ? text.replaceAll(/[\t\n]/g, ' ') : text;
}
