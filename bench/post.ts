/**
 * One task per HTTP POST, with no sdk that joins them: `wrk` with 1, 64 and 256 connections on the master's `/v1/tasks`,
 * three real servers and a worker that returns at once: `node --import tsx bench/post.ts [--secs 5]`. Goal P2. Needs wrk (Debian's package).
 * Prints one JSON line.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startBenchCluster } from './bench-cluster.ts';

const secsAt = process.argv.indexOf('--secs');
const SECS = secsAt === -1 ? 5 : Number(process.argv[secsAt + 1]);
const BODY = JSON.stringify({ command: ['echo', 'p'.repeat(200)] });

const folder = mkdtempSync(join(tmpdir(), 'clb-post-'));
const lua = join(folder, 'post.lua');
writeFileSync(
  lua,
  `wrk.method = "POST"\nwrk.body = [[${BODY}]]\nwrk.headers["Content-Type"] = "application/json"\n`,
);
const { cluster, destroy } = await startBenchCluster(4_096);
try {
  const master = await cluster.master();
  const url = `http://127.0.0.1:${cluster.node(master).port}/v1/tasks`;
  const run = (connections: number, secs: number): { rps: number; p50: string; p99: string; bad: number } => {
    const { stdout, status, error } = spawnSync(
      'wrk',
      ['-t1', `-c${connections}`, `-d${secs}s`, '--latency', '-s', lua, url],
      { encoding: 'utf8' },
    );
    if (status !== 0) throw error ?? new Error(`wrk ended with ${String(status)}`);
    const of = (pattern: RegExp): string => pattern.exec(stdout)?.[1] ?? '';
    return {
      rps: Math.round(Number(of(/Requests\/sec:\s+([\d.]+)/))),
      p50: of(/50%\s+(\S+)/),
      p99: of(/99%\s+(\S+)/),
      bad: Number(of(/Non-2xx or 3xx responses: (\d+)/) || 0),
    };
  };
  run(64, 2);
  console.log(JSON.stringify({ post: { c1: run(1, SECS), c64: run(64, SECS), c256: run(256, SECS) } }));
} finally {
  await destroy();
  rmSync(folder, { recursive: true });
}
