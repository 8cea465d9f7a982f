// Long work behind a web app: answers at once, and the work is done on the cluster.
import express from 'express';
import { Clb, ClbError } from 'clb';

const PORT = Number(process.env.PORT ?? 8080);
const clb = new Clb({
  ...(process.env.CLB_SERVERS ? { servers: process.env.CLB_SERVERS.split(',') } : {}),
  ...(process.env.CLB_TOKEN ? { token: process.env.CLB_TOKEN } : {}),
});

const REPORT = `
import os, time
for step in range(3):
    print(f"step {step + 1} of 3", flush=True)
    time.sleep(0.2)
print("report of " + os.environ["MONTH"])
`;

const app = express();

app.post('/reports', async (req, res) => {
  const month = String(req.query.month ?? '');
  if (!/^\d{4}-\d{2}$/.test(month)) {
    res.status(400).json({ error: 'month: YYYY-MM is wanted' });
    return;
  }
  const task = await clb.submit(
    { script: REPORT, env: { MONTH: month }, name: `report ${month}`, timeoutMs: 600_000, maxAttempts: 2 },
    // The same month twice (a double click, a retry of the browser) is one report.
    { idempotencyKey: `report-${month}-${process.env.REPORT_SALT ?? ''}` },
  );
  res.status(202).location(`/reports/${task.id}`).json({ id: task.id, status: task.status });
});

app.get('/reports/:id', async (req, res) => {
  const task = await clb.get(req.params.id);
  res.json({
    id: task.id,
    status: task.status,
    report: task.result?.stdout.trim().split('\n').at(-1) ?? null,
  });
});

// Its output as it comes; ends with the task, or with the reader.
app.get('/reports/:id/log', async (req, res) => {
  const gone = new AbortController();
  res.on('close', () => gone.abort());
  res.type('text/plain');
  try {
    for await (const bytes of clb.logs(req.params.id, { follow: true, signal: gone.signal }))
      res.write(bytes);
    res.end();
  } catch (error) {
    if (!gone.signal.aborted) throw error;
  }
});

app.use((error, _req, res, _next) => {
  const status = error instanceof ClbError ? error.status : 500;
  res.status(status).json({ error: error.message });
});

const server = app.listen(PORT, '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}`));
