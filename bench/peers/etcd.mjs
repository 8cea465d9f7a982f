#!/usr/bin/env node
// 3-node etcd on loopback, default settings. No npm deps: gRPC hand-framed over node:http2 (KV/Put, 300 B values).
// usage: node etcd.mjs [--secs 4] [--reps 2] [--failovers 5] [--dir /tmp/x] -> one JSON line
import { spawn } from 'node:child_process';
import http2 from 'node:http2';
import net from 'node:net';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
const A = (k, d) => {
  const i = process.argv.indexOf('--' + k);
  return i > 0 ? process.argv[i + 1] : d;
};
const SECS = +A('secs', 4),
  REPS = +A('reps', 2),
  FO = +A('failovers', 5),
  dir = fs.mkdtempSync(path.join(A('dir', os.tmpdir()), 'etcdb-'));
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
for (let i = 0; i < 3; i++) nodes.push({ name: 'n' + i, cp: await freePort(), pp: await freePort() });
const init = nodes.map((n) => `${n.name}=http://127.0.0.1:${n.pp}`).join(',');
const procs = new Set();
function start(n, state) {
  const p = spawn(
    'etcd',
    [
      '--name',
      n.name,
      '--data-dir',
      `${dir}/${n.name}`,
      '--listen-client-urls',
      `http://127.0.0.1:${n.cp}`,
      '--advertise-client-urls',
      `http://127.0.0.1:${n.cp}`,
      '--listen-peer-urls',
      `http://127.0.0.1:${n.pp}`,
      '--initial-advertise-peer-urls',
      `http://127.0.0.1:${n.pp}`,
      '--initial-cluster',
      init,
      '--initial-cluster-state',
      state,
      '--log-level',
      'error',
      '--logger',
      'zap',
    ],
    { stdio: ['ignore', 'ignore', fs.openSync(`${dir}/${n.name}.log`, 'a')] },
  );
  procs.add(p);
  p.on('exit', () => procs.delete(p));
  n.p = p;
}
const bye = () => {
  for (const p of procs)
    try {
      p.kill('SIGKILL');
    } catch {}
  try {
    fs.rmSync(dir, { recursive: true, force: true });
  } catch {}
};
process.on('exit', bye);
process.on('SIGINT', () => process.exit(1));
process.on('SIGTERM', () => process.exit(1));
// minimal protobuf
const varint = (n) => {
  const b = [];
  while (n > 127) {
    b.push((n & 127) | 128);
    n >>>= 7;
  }
  b.push(n);
  return Buffer.from(b);
};
const fld = (t, b) => Buffer.concat([Buffer.from([(t << 3) | 2]), varint(b.length), b]);
const frame = (b) => {
  const h = Buffer.alloc(5);
  h.writeUInt32BE(b.length, 1);
  return Buffer.concat([h, b]);
};
const H = { ':method': 'POST', 'content-type': 'application/grpc', te: 'trailers' };
function call(sess, p, body, timeout = 0) {
  return new Promise((ok, no) => {
    let st;
    const c = [];
    let s;
    try {
      s = sess.request({ ...H, ':path': p });
    } catch (e) {
      return no(e);
    }
    if (timeout)
      s.setTimeout(timeout, () => {
        s.close(8);
        no(new Error('timeout'));
      });
    s.on('response', (h) => {
      if (h['grpc-status']) st = h['grpc-status'];
    });
    s.on('trailers', (h) => {
      st = h['grpc-status'];
    });
    s.on('data', (d) => c.push(d));
    s.on('error', no);
    s.on('close', () => (st === '0' ? ok(Buffer.concat(c)) : no(new Error('grpc ' + st))));
    s.end(frame(body));
  });
}
const connect = (cp) => {
  const s = http2.connect(`http://127.0.0.1:${cp}`);
  s.on('error', () => {});
  return s;
};
const val = Buffer.alloc(300, 118);
let seq = 0;
const putBody = () => Buffer.concat([fld(1, Buffer.from('/task/' + (1e9 + seq++))), fld(2, val)]);
const put = (s, t) => call(s, '/etcdserverpb.KV/Put', putBody(), t);
async function leader() {
  for (let k = 0; k < 200; k++) {
    for (const n of nodes) {
      try {
        const r = await (
          await fetch(`http://127.0.0.1:${n.cp}/v3/maintenance/status`, {
            method: 'POST',
            body: '{}',
            signal: AbortSignal.timeout(500),
          })
        ).json();
        if (r.leader && r.leader !== '0' && r.leader === r.header.member_id) return n;
      } catch {}
    }
    await sleep(50);
  }
  throw new Error('no leader');
}
async function load(n, C, secs) {
  const S = [...Array(Math.min(C, 8))].map(() => connect(n.cp));
  await Promise.all(S.map((s) => put(s)));
  const lat = [];
  let err = 0;
  const t0 = performance.now(),
    end = t0 + secs * 1000;
  await Promise.all(
    [...Array(C)].map(async (_, i) => {
      const s = S[i % S.length];
      while (performance.now() < end) {
        const t = performance.now();
        try {
          await put(s);
          lat.push(performance.now() - t);
        } catch {
          err++;
        }
      }
    }),
  );
  const el = (performance.now() - t0) / 1000;
  for (const s of S) s.destroy();
  return { per_s: Math.round(lat.length / el), p50: q(lat, 0.5), p99: q(lat, 0.99), err };
}
for (const n of nodes) start(n, 'new');
let L = await leader();
await sleep(500);
{
  const s = connect(L.cp);
  await put(s);
  s.destroy();
}
await load(L, 64, 1);
const raw = {};
for (let r = 0; r < REPS; r++) for (const C of [1, 64, 256]) (raw[C] ??= []).push(await load(L, C, SECS));
const puts = {};
for (const C in raw)
  puts['c' + C] = {
    per_s: med(raw[C].map((x) => x.per_s)),
    p50_ms: med(raw[C].map((x) => x.p50)),
    p99_ms: med(raw[C].map((x) => x.p99)),
    all: raw[C].map((x) => x.per_s),
    err: raw[C].reduce((a, x) => a + x.err, 0),
  };
let rssMB = nodes.map((n) =>
  Math.round(+/VmRSS:\s+(\d+)/.exec(fs.readFileSync(`/proc/${n.p.pid}/status`, 'utf8'))[1] / 1024),
);
const fo = [];
for (let r = 0; r < FO; r++) {
  L = await leader();
  await sleep(1500);
  const surv = nodes.filter((n) => n !== L);
  const S = surv.map((n) => connect(n.cp));
  await Promise.all(S.map((s) => put(s)));
  L.p.kill('SIGKILL');
  await new Promise((r) => L.p.once('exit', r));
  const t0 = performance.now();
  let done = false;
  await new Promise((ok) => {
    const iv = setInterval(() => {
      for (const s of S) {
        put(s, 4000)
          .then(() => {
            if (!done) {
              done = true;
              fo.push(Math.round(performance.now() - t0));
              clearInterval(iv);
              ok();
            }
          })
          .catch(() => {});
      }
    }, 20);
  });
  for (const s of S) s.destroy();
  start(L, 'existing');
  await sleep(2500);
}
console.log(
  JSON.stringify({
    peer: 'etcd-3.4x3',
    client: 'http2-grpc in node, to leader',
    puts,
    failover_ms: { median: med(fo), all: fo },
    rssMB,
  }),
);
process.exit(0);
