/**
 * The page over a made-up cluster, for those who work on the page:
 * `npm run build:ui && node --import tsx test/web-ui/serve.ts [port]`.
 */
import { generatePayload } from '../../src/web/ui/src/model/payload.ts';
import { FakeApi } from './fake-api.ts';

const SPEED = 3;
const api = await FakeApi.open({ port: Number(process.argv[2] ?? 0), speed: SPEED });
const { cluster } = api;

const ended = (stdout: string, stderr = '', exitCode = 0) => ({
  exitCode,
  signal: null,
  stdout,
  stderr,
  stdoutBytes: stdout.length,
  stderrBytes: stderr.length,
  truncated: false,
});
const hourMs = 3_600_000;
for (let each = 60; each > 6; each -= 1) {
  const result = ended(`${String(2 + (each % 19))}\n`);
  cluster.addFinished(
    { script: generatePayload() },
    { status: 'succeeded', result, agoMs: (each * hourMs) / 9 },
  );
}
cluster.addFinished(
  {
    script:
      'import csv, sys\n\nrows = list(csv.reader(sys.stdin))\nif not rows:\n    raise ValueError("the input has no rows")\nprint(len(rows))\n',
    name: 'count rows',
  },
  {
    status: 'failed',
    result: ended(
      '',
      'Traceback (most recent call last):\n  File "main.py", line 5, in <module>\n    raise ValueError("the input has no rows")\nValueError: the input has no rows\n',
      1,
    ),
    agoMs: hourMs / 2,
  },
);
cluster.addFinished(
  { command: ['sh', '-c', 'sleep 600; echo done'], name: 'nightly-report', timeoutMs: 10_000 },
  {
    status: 'timed_out',
    result: { ...ended(''), exitCode: null, signal: 'SIGTERM' },
    agoMs: hourMs / 3,
  },
);
cluster.addFinished(
  { command: ['sh', '-c', 'date; hostname'] },
  { status: 'succeeded', result: ended('Sun Nov 22 18:50:39 UTC 2026\nserver3\n'), agoMs: hourMs / 20 },
);
cluster.submit({
  script:
    'import time\n# chatty\nfor n in range(240):\n    print("line", n, flush=True)\n    time.sleep(120)\n',
});
cluster.submit({ script: generatePayload() });
cluster.submit({ script: generatePayload() });
console.log(api.url);
