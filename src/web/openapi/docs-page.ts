/** GET /v1/docs: the document as a page for people, without scripts and without anything from elsewhere. */
import { ERROR_STATUS } from '../../api/errors.ts';
import { escapeHtml, page } from '../page.ts';
import type { Page } from '../page.ts';
import { errorCodesOf } from './document.ts';
import type { OpenApiDocument } from './document.ts';
import type { JsonSchema } from './json-schema.ts';
import type { Answer, Operation } from './operation.ts';
import { OPERATIONS, parametersOf } from './operations.ts';

const STYLE = `
h2 { margin: 2rem 0 .5rem; border-bottom: 1px solid var(--line); }
details { border: 1px solid var(--line); border-radius: .4rem; margin: .4rem 0; }
summary { padding: .4rem .6rem; cursor: pointer; }
summary b { display: inline-block; min-width: 4em; color: var(--accent); }
summary span { color: var(--muted); }
details > div { padding: 0 .8rem .6rem; }
table { border-collapse: collapse; width: 100%; }
td, th { text-align: left; vertical-align: top; padding: .2rem .6rem .2rem 0; border-bottom: 1px solid var(--line); }
pre { overflow: auto; max-height: 28rem; padding: .6rem; border: 1px solid var(--line); border-radius: .4rem; }
code, pre { font: 13px/1.45 ui-monospace, monospace; }
`;

export function docsPage(document: OpenApiDocument): Page {
  const tags = [...new Set(OPERATIONS.map(({ tag }) => tag))];
  const sections = tags.map((tag) => {
    const operations = OPERATIONS.filter((operation) => operation.tag === tag).map(operationHtml);
    return `<h2>${escapeHtml(tag)}</h2>${operations.join('')}`;
  });
  const { schemas } = document.components;
  const named = Object.entries(schemas).map(([name, schema]) => schemaHtml(name, schema));
  const body =
    `<main><h1>CLB: HTTP API</h1><p>Any server may be asked: what only the master can answer is forwarded. The same for ` +
    `programs: <a href="openapi.json">openapi.json</a> (OpenAPI 3.1).</p>` +
    `${sections.join('')}<h2>Schemas</h2>${named.join('')}</main>`;
  return page({ title: 'CLB: HTTP API', body, style: STYLE });
}

function operationHtml(operation: Operation): string {
  const { method, path, summary, text, body } = operation;
  const parts = [`<p>${prose(text)}</p>`, parametersHtml(operation)];
  if (body !== null)
    parts.push(`<h3>Body</h3><p>${schemaLink(body.schema)}${body.required ? '' : ', optional'}</p>`);
  if (body?.required === true) parts.push(jsonHtml(body.example));
  parts.push('<h3>Answers</h3>', ...operation.answers.map(answerHtml), errorsHtml(operation));
  const id = escapeHtml(operation.id);
  const title = `<b>${method.toUpperCase()}</b> <code>${escapeHtml(path)}</code> <span>${escapeHtml(summary)}</span>`;
  return `<details id="${id}"><summary>${title}</summary><div>${parts.join('')}</div></details>`;
}

function parametersHtml(operation: Operation): string {
  const parameters = parametersOf(operation);
  if (parameters.length === 0) return '';
  const rows = parameters.map(
    ({ name, in: where, text, schema }) =>
      `<tr><td><code>${escapeHtml(name)}</code></td><td>${where}</td><td>${prose(text)}</td>` +
      `<td><code>${escapeHtml(limitsOf(schema))}</code></td></tr>`,
  );
  return `<h3>Parameters</h3><table>${rows.join('')}</table>`;
}

function limitsOf(schema: JsonSchema): string {
  if (Array.isArray(schema['enum'])) return schema['enum'].join(' | ');
  const { type, ...limits } = schema;
  const told = Object.entries(limits).map(([name, value]) => `${name} ${String(value)}`);
  return [String(type), ...told].join(', ');
}

function answerHtml({ status, text, content }: Answer): string {
  const what = content.kind === 'json' ? schemaLink(content.schema) : escapeHtml(content.type);
  const example = content.kind === 'json' ? jsonHtml(content.example) : '';
  return `<p><b>${status}</b> ${what}. ${prose(text)}</p>${example}`;
}

function errorsHtml(operation: Operation): string {
  const rows = [...errorCodesOf(operation)]
    .sort((a, b) => ERROR_STATUS[a] - ERROR_STATUS[b])
    .map((code) => `<tr><td>${ERROR_STATUS[code]}</td><td><code>${code}</code></td></tr>`);
  return `<table>${rows.join('')}</table>`;
}

function schemaHtml(name: string, schema: JsonSchema): string {
  const id = escapeHtml(`schema-${name}`);
  return `<details id="${id}"><summary><code>${escapeHtml(name)}</code></summary><div>${jsonHtml(schema)}</div></details>`;
}

function schemaLink(name: string): string {
  return `<a href="#schema-${escapeHtml(name)}"><code>${escapeHtml(name)}</code></a>`;
}

function jsonHtml(value: unknown): string {
  // It scrolls, so the keyboard must get there.
  return `<pre tabindex="0">${escapeHtml(JSON.stringify(value, null, 2))}</pre>`;
}

/** Escaped; what stands in backticks becomes code. */
function prose(text: string): string {
  return escapeHtml(text).replace(/`([^`]*)`/g, '<code>$1</code>');
}
