import { wantsHtml } from './negotiation.ts';
import { escapeHtml, page } from './page.ts';
import type { WebShell } from './shell.ts';

export interface Home {
  readonly nodeId: string;
  readonly role: string;
  readonly links: readonly string[];
}

/** GET /: what this node is and what there is to see; the page for people is the client's. */
export function mountHome(shell: WebShell, home: Home): void {
  const links = [...home.links, '/healthz', '/readyz', '/metrics'];
  shell.route('get', '/', (req, res) => {
    const title = `CLB: ${home.role} ${home.nodeId}`;
    if (!wantsHtml(req)) {
      shell.answers.text(res, 200, `${title}\n${links.join('\n')}\n`);
      return;
    }
    const items = links
      .map((link) => `<li><a href="${escapeHtml(link)}">${escapeHtml(link)}</a></li>`)
      .join('');
    const { html, nonce } = page({
      title,
      body: `<main><h1>${escapeHtml(title)}</h1><ul>${items}</ul></main>`,
    });
    shell.answers.html(res, 200, html, nonce);
  });
}
