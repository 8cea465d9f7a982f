#!/usr/bin/env node
// 3-node NATS JetStream, R3 file stream, workqueue retention, defaults otherwise (NB nats 2.9: no fsync per message; sync_interval 2 min).
// usage: node nats.mjs [--secs 4] [--reps 2] [--failovers 3] [--dir /tmp]  (needs npm nats)
import { spawn } from 'node:child_process';
import net from 'node:net';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createRequire } from 'node:module';
const require = createRequire(
  process.env.BENCH_MODULES ? process.env.BENCH_MODULES + '/x.js' : import.meta.url,
);
const { connect, RetentionPolicy, StorageType, AckPolicy, nanos } = require('nats');
const A = (k, d) => {
  const i = process.argv.indexOf('--' + k);
  return i > 0 ? process.argv[i + 1] : d;
};
const SECS = +A('secs', 4),
  REPS = +A('reps', 2),
  FO = +A('failovers', 3),
  dir = fs.mkdtempSync(path.join(A('dir', os.tmpdir()), 'natsb-'));
const q = (a, p) => {
  if (!a.length) return null;
  a.sort((x, y) => x - y);
  return +a[Math.floor((a.length - 1) * p)].toFixed(2);
};
const med = (a) => q([...a], 0.5);
const sleep = (ms) => new Promise((r) => setTimeout(r, ms));
const freePort = () =>
  new Promise((r) => {
    const s = net.createServer().listen(0, '127.0.0.1', () => {
      const p = s.address().port;
      s.close(() => r(p));
    });
  });
const nodes = [];
for (let i = 0; i < 3; i++) nodes.push({ name: 'n' + i, cp: await freePort(), rp: await freePort() });
const procs = new Set();
function start(n) {
  fs.writeFileSync(
    `${dir}/${n.name}.conf`,
    `server_name: ${n.name}\nlisten: 127.0.0.1:${n.cp}\njetstream { store_dir: "${dir}/${n.name}" }\ncluster { name: c, listen: 127.0.0.1:${n.rp}, routes: [${nodes.map((x) => `"nats://127.0.0.1:${x.rp}"`).join(',')}] }\n`,
  );
  const p = spawn('nats-server', ['-c', `${dir}/${n.name}.conf`, '-l', `${dir}/${n.name}.log`], {
    stdio: 'ignore',
  });
  procs.add(p);
  p.on('exit', () => procs.delete(p));
  n.p = p;
}
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
for (const n of nodes) start(n);
const servers = () => nodes.map((n) => `127.0.0.1:${n.cp}`);
let nc;
for (let i = 0; i < 100; i++) {
  try {
    nc = await connect({ servers: servers(), maxReconnectAttempts: -1 });
    break;
  } catch {
    await sleep(100);
  }
}
let jsm;
for (let i = 0; i < 300; i++) {
  try {
    jsm = await nc.jetstreamManager({ timeout: 2000 });
    await jsm.streams.add({
      name: 'T',
      subjects: ['t.*'],
      retention: RetentionPolicy.Workqueue,
      storage: StorageType.File,
      num_replicas: 3,
    });
    break;
  } catch (e) {
    if (i === 299) throw e;
    await sleep(100);
  }
}
const lead = async () => {
  for (let i = 0; i < 300; i++) {
    try {
      const x = await jsm.streams.info('T');
      if (x.cluster?.leader) return nodes.find((n) => n.name === x.cluster.leader);
    } catch {}
    await sleep(50);
  }
  throw new Error('nolead');
};
const js = nc.jetstream({ timeout: 5000 });
const pay = () => {
  const b = Buffer.alloc(300, 118);
  b.writeDoubleBE(performance.now(), 0);
  return b;
};
async function pub(C, secs) {
  const lat = [];
  let err = 0;
  const t0 = performance.now(),
    end = t0 + secs * 1000;
  const nn = await lead();
  const c = await connect({ servers: [`127.0.0.1:${nn.cp}`] });
  const j = c.jetstream({ timeout: 5000 });
  await Promise.all(
    [...Array(C)].map(async () => {
      while (performance.now() < end) {
        const t = performance.now();
        try {
          await j.publish('t.p', pay());
          lat.push(performance.now() - t);
        } catch {
          err++;
        }
      }
    }),
  );
  const el = (performance.now() - t0) / 1000;
  await c.close();
  await jsm.streams.purge('T');
  return { per_s: Math.round(lat.length / el), p50: q(lat, 0.5), p99: q(lat, 0.99), err };
}
async function e2e(C, secs, ackSync) {
  const nn = await lead();
  const name = 'd' + Date.now();
  await jsm.consumers.add('T', {
    durable_name: name,
    ack_policy: AckPolicy.Explicit,
    max_ack_pending: 20000,
    ack_wait: nanos(30000),
  });
  await sleep(300);
  const c1 = await connect({ servers: [`127.0.0.1:${nn.cp}`] }),
    c2 = await connect({ servers: [`127.0.0.1:${nn.cp}`] });
  const j1 = c1.jetstream({ timeout: 5000 }),
    j2 = c2.jetstream();
  const lat = [];
  let err = 0,
    done = 0;
  const waiters = new Map();
  const cons = await j2.consumers.get('T', name);
  const sub = await cons.consume({ max_messages: 1000 });
  const loop = (async () => {
    for await (const m of sub) {
      const b = Buffer.from(m.data.buffer, m.data.byteOffset, m.data.byteLength);
      const id = b.readUInt32BE(8),
        t = b.readDoubleBE(0);
      const fin = () => {
        lat.push(performance.now() - t);
        done++;
        waiters.get(id)?.();
        waiters.delete(id);
      };
      if (ackSync) m.ackAck().then(fin, () => err++);
      else {
        m.ack();
        fin();
      }
    }
  })();
  let id = 0;
  const t0 = performance.now(),
    end = t0 + secs * 1000;
  await Promise.all(
    [...Array(C)].map(async () => {
      while (performance.now() < end) {
        const k = id++;
        const b = pay();
        b.writeUInt32BE(k, 8);
        const w = new Promise((r) => {
          waiters.set(k, r);
          setTimeout(() => {
            if (waiters.delete(k)) {
              err++;
              r();
            }
          }, 10000).unref();
        });
        try {
          await j1.publish('t.e', b);
          await w;
        } catch {
          err++;
        }
      }
    }),
  );
  const el = (performance.now() - t0) / 1000;
  await Promise.race([sub.close(), sleep(500)]);
  await jsm.consumers.delete('T', name).catch(() => {});
  await c1.close();
  await c2.close();
  await jsm.streams.purge('T');
  return { per_s: Math.round(done / el), p50: q(lat, 0.5), p99: q(lat, 0.99), err };
}
await sleep(1000);
await pub(64, 1);
const raw = {};
for (let r = 0; r < REPS; r++) {
  for (const C of [1, 64, 256]) (raw['pub_c' + C] ??= []).push(await pub(C, SECS));
  for (const C of [1, 64, 256]) {
    (raw['e2e_ack_c' + C] ??= []).push(await e2e(C, SECS, false));
    (raw['e2e_ackAck_c' + C] ??= []).push(await e2e(C, SECS, true));
  }
}
const res = {};
for (const k in raw)
  res[k] = {
    per_s: med(raw[k].map((x) => x.per_s)),
    p50_ms: med(raw[k].map((x) => x.p50)),
    p99_ms: med(raw[k].map((x) => x.p99)),
    all: raw[k].map((x) => x.per_s),
    err: raw[k].reduce((a, x) => a + x.err, 0),
  };
const rssMB = nodes.map((n) =>
  Math.round(+/VmRSS:\s+(\d+)/.exec(fs.readFileSync(`/proc/${n.p.pid}/status`, 'utf8'))[1] / 1024),
);
const fo = [];
for (let r = 0; r < FO; r++) {
  const L = await lead();
  await sleep(1500);
  const S = await Promise.all(
    nodes.filter((n) => n !== L).map((n) => connect({ servers: [`127.0.0.1:${n.cp}`] })),
  );
  const J = S.map((s) => s.jetstream({ timeout: 1000 }));
  L.p.kill('SIGKILL');
  await new Promise((r) => L.p.once('exit', r));
  const t0 = performance.now();
  let done = false;
  await new Promise((ok) => {
    const to = setTimeout(() => {
      if (!done) {
        done = true;
        fo.push(-1);
        clearInterval(iv);
        ok();
      }
    }, 40000);
    const iv = setInterval(() => {
      for (const j of J)
        j.publish('t.f', pay()).then(
          () => {
            if (!done) {
              done = true;
              fo.push(Math.round(performance.now() - t0));
              clearInterval(iv);
              clearTimeout(to);
              ok();
            }
          },
          () => {},
        );
    }, 50);
  });
  for (const s of S) s.close().catch(() => {});
  start(L);
  await sleep(4000);
}
console.log(
  JSON.stringify({
    peer: 'nats-jetstream-2.9x3 R3 file workqueue',
    ...res,
    failover_ms: { median: med(fo), all: fo },
    rssMB,
  }),
);
process.exit(0);
