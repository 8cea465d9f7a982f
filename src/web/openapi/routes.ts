import { queryOf } from '../input.ts';
import type { WebShell } from '../shell.ts';

/** GET /v1/openapi.json and /v1/docs. What makes them is loaded when first asked for: most nodes never are. */
export function mountOpenApi(shell: WebShell, version: string): void {
  const load = async () => {
    const { openApiDocument } = await import('./document.ts');
    return openApiDocument(version);
  };
  let made: ReturnType<typeof load> | null = null;

  shell.route('get', '/v1/openapi.json', async (req, res) => {
    queryOf(req, []);
    shell.answers.json(res, 200, await (made ??= load()));
  });

  shell.route('get', '/v1/docs', async (req, res) => {
    queryOf(req, []);
    const { docsPage } = await import('./docs-page.ts');
    const { html, nonce } = docsPage(await (made ??= load()));
    shell.answers.html(res, 200, html, nonce);
  });
}
