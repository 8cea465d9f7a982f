#!/usr/bin/env node
// BullMQ on one redis (AOF). Producer in this process, one worker process, concurrency 100, no-op processor.
// usage: node bullmq.mjs [--secs 4] [--reps 2] [--stalled 1|0] [--rediskills 3] [--dir /tmp]   (npm bullmq, redis-server)
import { spawn, fork } from 'node:child_process';
import net from 'node:net';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createRequire } from 'node:module';
const require = createRequire(
  process.env.BENCH_MODULES ? process.env.BENCH_MODULES + '/x.js' : import.meta.url,
);
const { Queue, Worker } = require('bullmq');
const now = () => Number(process.hrtime.bigint()) / 1e6;
const sleep = (ms) => new Promise((r) => setTimeout(r, ms));
const q = (a, p) => {
  if (!a.length) return null;
  a.sort((x, y) => x - y);
  return +a[Math.floor((a.length - 1) * p)].toFixed(2);
};
const med = (a) => q([...a], 0.5);
if (process.argv[2] === 'worker') {
  // worker <port> <queue> <mode> <concurrency>
  const [, , , port, qn, mode, conc] = process.argv;
  let n = 0,
    lat = [];
  const w = new Worker(
    qn,
    async (j) => {
      if (mode === 'long') {
        process.send({ start: j.id, at: now(), attempt: j.attemptsMade });
        await sleep(600000);
      }
      return 0;
    },
    { connection: { host: '127.0.0.1', port: +port }, concurrency: +conc, removeOnComplete: { count: 1000 } },
  );
  w.on('error', () => {});
  let rid = [];
  w.on('completed', (j) => {
    n++;
    lat.push(now() - j.data.t);
    if (mode === 'tell') {
      rid.push(j.id);
      if (rid.length === 1)
        setImmediate(() => {
          process.send({ ids: rid });
          rid = [];
        });
    }
  });
  process.on('message', (m) => {
    if (m === 'reset') {
      n = 0;
      lat = [];
      process.send({ ok: 1 });
    }
    if (m === 'stat') {
      process.send({ n, p50: q(lat, 0.5), p99: q(lat, 0.99) });
    }
    if (m === 'n') process.send({ n });
  });
  process.on('disconnect', () => process.exit(0));
  w.waitUntilReady().then(() => process.send({ ready: 1 }));
} else {
  const A = (k, d) => {
    const i = process.argv.indexOf('--' + k);
    return i > 0 ? process.argv[i + 1] : d;
  };
  const SECS = +A('secs', 4),
    REPS = +A('reps', 2),
    dir = fs.mkdtempSync(path.join(A('dir', os.tmpdir()), 'bullb-'));
  const freePort = () =>
    new Promise((r) => {
      const s = net.createServer().listen(0, '127.0.0.1', () => {
        const p = s.address().port;
        s.close(() => r(p));
      });
    });
  const procs = new Set();
  process.on('exit', () => {
    for (const p of procs)
      try {
        p.kill('SIGKILL');
      } catch {}
    try {
      fs.rmSync(dir, { recursive: true, force: true });
    } catch {}
  });
  process.on('SIGINT', () => process.exit(1));
  process.on('SIGTERM', () => process.exit(1));
  const track = (p) => {
    procs.add(p);
    p.on('exit', () => procs.delete(p));
    return p;
  };
  function redis(port, fsync) {
    const d = `${dir}/${fsync}`;
    fs.mkdirSync(d, { recursive: true });
    return track(
      spawn(
        'redis-server',
        [
          '--port',
          port,
          '--bind',
          '127.0.0.1',
          '--dir',
          d,
          '--appendonly',
          'yes',
          '--appendfsync',
          fsync,
          '--save',
          '',
          '--maxmemory-policy',
          'noeviction',
        ],
        { stdio: 'ignore' },
      ),
    );
  }
  const ask = (w, m, k) =>
    new Promise((r) => {
      const f = (x) => {
        if (k in x) {
          w.off('message', f);
          r(x);
        }
      };
      w.on('message', f);
      if (m) w.send(m);
    });
  async function worker(port, qn, mode, conc) {
    const w = track(fork(process.argv[1], ['worker', port, qn, mode, conc]));
    await ask(w, null, 'ready');
    return w;
  }
  const data = () => ({ t: now(), pad: 'p'.repeat(250) });
  const raw = {};
  const out = { peer: 'bullmq-6/redis-7 single node' };
  const ports = { always: await freePort(), everysec: await freePort() };
  const R = {};
  for (const f of ['always', 'everysec']) R[f] = redis(ports[f], f);
  await sleep(500);
  let qi = 0;
  async function closed(f, C, secs) {
    // C clients: add -> wait for completed -> next ; measures jobs/s and add->completed
    const qn = 'q' + qi++;
    const Q = new Queue(qn, { connection: { host: '127.0.0.1', port: ports[f] } });
    Q.on('error', () => {});
    const w = await worker(ports[f], qn, 'tell', 100);
    const wait = new Map();
    const early = new Set();
    w.on('message', (m) => {
      if (m.ids)
        for (const id of m.ids) {
          const r = wait.get(id);
          if (r) {
            wait.delete(id);
            r();
          } else early.add(id);
        }
    });
    const lat = [],
      addl = [];
    const t0 = now(),
      end = t0 + secs * 1000;
    await Promise.all(
      [...Array(C)].map(async () => {
        while (now() < end) {
          const t = now();
          const j = await Q.add('x', data(), { removeOnComplete: { count: 1000 } });
          addl.push(now() - t);
          if (!early.delete(j.id))
            await new Promise((r) => {
              wait.set(j.id, r);
              setTimeout(r, 8000).unref();
            });
          lat.push(now() - t);
        }
      }),
    );
    const el = (now() - t0) / 1000;
    const s = await ask(w, 'stat', 'p50');
    w.kill('SIGKILL');
    await Q.close();
    return { per_s: Math.round(lat.length / el), p50: q(lat, 0.5), p99: q(lat, 0.99), add_p50: q(addl, 0.5) };
  }
  async function addOnly(f, C, secs) {
    const Q = new Queue('q' + qi++, { connection: { host: '127.0.0.1', port: ports[f] } });
    const lat = [];
    const t0 = now(),
      end = t0 + secs * 1000;
    await Promise.all(
      [...Array(C)].map(async () => {
        while (now() < end) {
          const t = now();
          await Q.add('x', data());
          lat.push(now() - t);
        }
      }),
    );
    const el = (now() - t0) / 1000;
    await Q.obliterate({ force: true });
    await Q.close();
    return { per_s: Math.round(lat.length / el), p50: q(lat, 0.5), p99: q(lat, 0.99) };
  }
  async function bulk(f, N) {
    const qn = 'q' + qi++;
    const Q = new Queue(qn, { connection: { host: '127.0.0.1', port: ports[f] } });
    await Q.waitUntilReady();
    const t0 = now();
    for (let i = 0; i < N; i += 500)
      await Q.addBulk(
        [...Array(500)].map(() => ({ name: 'x', data: data(), opts: { removeOnComplete: { count: 1000 } } })),
      );
    const t1 = now();
    const w = await worker(ports[f], qn, 'n', 100);
    const t2 = now();
    for (;;) {
      const s = await ask(w, 'n', 'n');
      if (s.n >= N || now() - t2 > 30000) break;
      await sleep(20);
    }
    const t3 = now();
    w.kill('SIGKILL');
    await Q.close();
    return { per_s: Math.round(N / ((t1 - t0) / 1000)), drain_per_s: Math.round(N / ((t3 - t2) / 1000)) };
  }
  for (let r = 0; r < REPS; r++)
    for (const f of ['always', 'everysec']) {
      for (const C of [1, 64, 256]) {
        (raw[f + '_add_c' + C] ??= []).push(await addOnly(f, C, SECS / 2));
        (raw[f + '_e2e_c' + C] ??= []).push(await closed(f, C, SECS));
      }
      (raw[f + '_bulk'] ??= []).push(await bulk(f, 5000));
    }
  for (const k in raw) {
    out[k] = {};
    for (const m of Object.keys(raw[k][0])) out[k][m] = med(raw[k].map((x) => x[m]));
    out[k].all = raw[k].map((x) => x.per_s);
  }
  if (+A('stalled', 1)) {
    // kill -9 worker with a running job; second worker, all defaults; 3 queues staggered by 10 s
    out.stalled_restart_ms = await Promise.all(
      [0, 10000, 20000].map(async (d) => {
        const qn = 'st' + d;
        const p = ports.everysec;
        const Q = new Queue(qn, { connection: { host: '127.0.0.1', port: p } });
        const w1 = track(fork(process.argv[1], ['worker', p, qn, 'long', 1]));
        const started = ask(w1, null, 'start');
        await Q.add('x', data());
        await started;
        const w2 = track(fork(process.argv[1], ['worker', p, qn, 'long', 1]));
        await ask(w2, null, 'ready');
        await sleep(1000 + d);
        const again = ask(w2, null, 'start');
        const t = now();
        w1.kill('SIGKILL');
        const x = await Promise.race([again, sleep(100000)]);
        w2.kill('SIGKILL');
        return x ? Math.round(x.at - t) : -1;
      }),
    );
  }
  const nk = +A('rediskills', 3);
  out.redis_kill = {};
  for (const f of ['always', 'everysec']) {
    const res = [];
    for (let k = 0; k < nk; k++) {
      const qn = 'rk' + k;
      const Q = new Queue(qn, { connection: { host: '127.0.0.1', port: ports[f] } });
      Q.on('error', () => {});
      const acked = [];
      let stop = false,
        okAfter = 0,
        tk = 0;
      const cl = [...Array(64)].map(async () => {
        while (!stop) {
          try {
            const j = await Promise.race([
              Q.add('x', data()),
              sleep(15000).then(() => {
                throw 0;
              }),
            ]);
            acked.push(j.id);
            if (tk && !okAfter) okAfter = now() - tk;
          } catch {}
        }
      });
      await sleep(1000);
      R[f].kill('SIGKILL');
      await new Promise((r) => R[f].once('exit', r));
      tk = now();
      R[f] = redis(ports[f], f);
      for (let i = 0; i < 300 && !okAfter; i++) await sleep(50);
      await sleep(300);
      stop = true;
      await Promise.race([Promise.all(cl), sleep(3000)]);
      let lost = 0;
      const RC = require('ioredis');
      const c = new (RC.Redis || RC.default || RC)(ports[f], '127.0.0.1');
      for (let i = 0; i < acked.length; i += 200) {
        const ex = await Promise.all(acked.slice(i, i + 200).map((id) => c.exists('bull:' + qn + ':' + id)));
        lost += ex.filter((x) => !x).length;
      }
      res.push({ ms: Math.round(okAfter), acked: acked.length, lost });
      c.disconnect();
      await Q.obliterate({ force: true }).catch(() => {});
      await Q.close();
    }
    out.redis_kill[f] = res;
  }
  out.rssMB = Object.fromEntries(
    Object.entries(R).map(([k, p]) => [
      k,
      Math.round(+/VmRSS:\s+(\d+)/.exec(fs.readFileSync(`/proc/${p.pid}/status`, 'utf8'))[1] / 1024),
    ]),
  );
  console.log(JSON.stringify(out));
  process.exit(0);
}
