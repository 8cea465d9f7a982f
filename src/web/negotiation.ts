import type { IncomingMessage } from 'node:http';

/**
 * Whether `Accept` prefers a page to plain text: it must name text/html (or text/*), with a weight above that of
 * text/plain. So browsers get pages; curl, which accepts anything, gets text.
 */
export function wantsHtml(req: IncomingMessage): boolean {
  const weights = new Map<string, number>();
  for (const part of (req.headers.accept ?? '').split(',')) {
    const [range = '', ...parameters] = part.split(';').map((piece) => piece.trim().toLowerCase());
    const q = parameters.find((parameter) => parameter.startsWith('q='));
    const weight = q === undefined ? 1 : Number(q.slice(2));
    weights.set(range, Number.isNaN(weight) ? 0 : weight);
  }
  const html = weights.get('text/html') ?? 0;
  const plain = weights.get('text/plain') ?? weights.get('text/*') ?? weights.get('*/*') ?? 0;
  return html > 0 && html >= plain && !(html === plain && weights.has('text/plain'));
}
