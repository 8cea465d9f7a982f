/**
 * Goal: the package as npm makes it is complete: unpacked into an empty project it can be imported, typed, and run. Its
 * dependencies are linked from here instead of installed, so that no registry is needed.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { after, before, describe, it } from 'node:test';

const root = resolve(import.meta.dirname, '../..');

describe('the package', { timeout: 300_000 }, () => {
  const project = mkdtempSync(join(tmpdir(), 'clb-package-'));
  const packed = join(project, 'node_modules/clb');
  after(() => rmSync(project, { recursive: true, force: true }));

  const run = (command: string, ...args: readonly string[]): string => {
    const { status, stdout, stderr } = spawnSync(command, args, { cwd: project, encoding: 'utf8' });
    assert.equal(status, 0, `${command} ${args.join(' ')}\n${stdout}${stderr}`);
    return stdout;
  };

  before(() => {
    const [{ filename } = { filename: '' }] = JSON.parse(
      spawnSync('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', project], {
        cwd: root,
        encoding: 'utf8',
      }).stdout,
    ) as { filename: string }[];
    mkdirSync(packed, { recursive: true });
    run('tar', '-xzf', join(project, filename), '-C', packed, '--strip-components', '1');
    const { dependencies } = JSON.parse(readFileSync(join(packed, 'package.json'), 'utf8')) as {
      dependencies: Record<string, string>;
    };
    for (const name of [...Object.keys(dependencies), '@types/node']) {
      const link = join(project, 'node_modules', name);
      mkdirSync(dirname(link), { recursive: true });
      symlinkSync(join(root, 'node_modules', name), link);
    }
    writeFileSync(join(project, 'package.json'), '{"name":"consumer","type":"module"}');
  });

  it('can be imported, and its command runs', () => {
    const program =
      "import { Clb } from 'clb'; const clb = new Clb(); console.log(clb.servers.length); clb.close();";
    assert.equal(run(process.execPath, '--input-type=module', '-e', program).trim(), '3');
    assert.match(run(process.execPath, join(packed, 'bin/clb.js'), '--version'), /^\d+\.\d+\.\d+\n$/);
    const raft = "import * as raft from 'clb/raft'; console.log(Object.keys(raft).length > 0);";
    assert.equal(run(process.execPath, '--input-type=module', '-e', raft).trim(), 'true');
  });

  it('has types that hold, and refuse what is wrong', () => {
    writeFileSync(
      join(project, 'consumer.ts'),
      `import { Clb, ClbError, isFinal, type NodeView, type TaskRequest, type TaskView } from 'clb';

const request: TaskRequest = { command: ['echo', 'hello'], priority: 80, labels: { a: 'b' } };
export async function use(signal: AbortSignal): Promise<number> {
  const clb = new Clb({ servers: ['127.0.0.1:3002'], token: 'secret' });
  const task: TaskView = await clb.run(request, { signal, idempotencyKey: 'k' });
  const nodes: readonly NodeView[] = await clb.nodes({ stale: true });
  for await (const bytes of clb.logs(task.id, { follow: true, signal })) if (bytes.byteLength === 0) break;
  for await (const { index, events } of clb.subscribe({ signal })) if (index > events.length) break;
  try {
    // @ts-expect-error there is no such field
    await clb.submit({ command: ['true'], prioritty: 1 });
  } catch (error) {
    if (error instanceof ClbError && error.code === 'INVALID') return nodes.length;
  }
  return isFinal(task.status) ? (task.result?.exitCode ?? 0) : -1;
}
`,
    );
    writeFileSync(
      join(project, 'tsconfig.json'),
      JSON.stringify({
        compilerOptions: {
          strict: true,
          noEmit: true,
          module: 'nodenext',
          target: 'es2022',
          lib: ['es2023'],
          types: ['node'],
          skipLibCheck: false,
        },
        files: ['consumer.ts'],
      }),
    );
    run(process.execPath, join(root, 'node_modules/typescript/bin/tsc'), '-p', '.');
  });
});
