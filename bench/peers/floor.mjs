// Physical ceiling in Node: 3 processes, leader + 2 followers, fixed leader (no elections), group commit, majority ack, durable.
// usage: node floor.mjs [file|level|levelpack] -> JSON. load: in-process closed loop; HTTP (node:http) via wrk; TCP stream client in another process
import net from 'node:net';
import http from 'node:http';
import fs from 'node:fs';
import { fork, spawn } from 'node:child_process';
import { promisify } from 'node:util';
import { createRequire } from 'node:module';
const require = createRequire(
  process.env.BENCH_MODULES ? process.env.BENCH_MODULES + '/x.js' : import.meta.url,
);
const w = promisify(fs.write),
  ds = promisify(fs.fdatasync);
const q = (a, p) => {
  a.sort((x, y) => x - y);
  return +a[Math.floor((a.length - 1) * p)].toFixed(2);
};
async function store(mode, dir) {
  fs.mkdirSync(dir, { recursive: true });
  if (mode === 'file') {
    const fd = fs.openSync(dir + '/log', 'w');
    let pos = 0;
    return async (es) => {
      const b = es.length === 1 ? es[0] : Buffer.concat(es);
      await w(fd, b, 0, b.length, pos);
      pos += b.length;
      await ds(fd);
    };
  }
  const { Level } = require('level');
  const db = new Level(dir + '/l', { valueEncoding: 'buffer' });
  await db.open();
  let i = 0;
  if (mode === 'levelpack')
    return (es) => db.put(String(i++).padStart(12, '0'), Buffer.concat(es), { sync: true });
  return (es) =>
    db.batch(
      es.map((e) => ({ type: 'put', key: String(i++).padStart(12, '0'), value: e })),
      { sync: true },
    );
}
function reader(s, cb) {
  let buf = null;
  s.on('data', (d) => {
    buf = buf ? Buffer.concat([buf, d]) : d;
    let o = 0;
    while (buf.length - o >= 4) {
      const l = buf.readUInt32BE(o);
      if (buf.length - o - 4 < l) break;
      cb(buf.subarray(o + 4, o + 4 + l));
      o += 4 + l;
    }
    buf = o < buf.length ? buf.subarray(o) : null;
  });
}
const fr = (b) => {
  const h = Buffer.allocUnsafe(4);
  h.writeUInt32BE(b.length);
  return Buffer.concat([h, b]);
};
const [, , role, mode = 'file', dir] = process.argv;
if (role === 'follower') {
  const append = await store(mode, dir);
  const s = net
    .createServer((c) => {
      c.setNoDelay(true);
      let pend = [],
        busy = false;
      const go = async () => {
        if (busy) return;
        busy = true;
        while (pend.length) {
          const x = pend;
          pend = [];
          const es = [];
          let last = 0;
          for (const b of x) {
            last = b.readDoubleBE(0);
            let o = 8;
            while (o < b.length) {
              const l = b.readUInt32BE(o);
              es.push(b.subarray(o, o + 4 + l));
              JSON.parse(b.subarray(o + 4, o + 4 + l));
              o += 4 + l;
            }
          }
          await append(es);
          const a = Buffer.alloc(8);
          a.writeDoubleBE(last);
          c.write(fr(a));
        }
        busy = false;
      };
      reader(c, (b) => {
        pend.push(b);
        go();
      });
    })
    .listen(0, '127.0.0.1', () => process.send(s.address().port));
} else if (role === 'client') {
  // TCP stream client: C outstanding, JSON messages; two=task cycle (submit + complete)
  const port = +mode,
    [C, secs] = dir.split(',').map(Number);
  const s = net.connect(port, '127.0.0.1');
  s.setNoDelay(true);
  const wait = new Map();
  reader(s, (b) => {
    const m = JSON.parse(b);
    const r = wait.get(m.i);
    wait.delete(m.i);
    r();
  });
  let out = [],
    sch = false,
    id = 0;
  const send = (m) =>
    new Promise((r) => {
      m.i = id++;
      wait.set(m.i, r);
      out.push(fr(Buffer.from(JSON.stringify(m))));
      if (!sch) {
        sch = true;
        setImmediate(() => {
          sch = false;
          s.write(Buffer.concat(out));
          out = [];
        });
      }
    });
  const lat = [];
  const t0 = performance.now(),
    end = t0 + secs * 1000;
  await Promise.all(
    [...Array(C)].map(async () => {
      while (performance.now() < end) {
        const t = performance.now();
        await send({ t: 'submit', cmd: 'echo', pad: 'p'.repeat(220) });
        await send({ t: 'complete', res: 'ok', pad: 'p'.repeat(180) });
        lat.push(performance.now() - t);
      }
    }),
  );
  process.send({
    tasks_s: Math.round(lat.length / ((performance.now() - t0) / 1000)),
    p50: q(lat, 0.5),
    p99: q(lat, 0.99),
  });
  process.exit(0);
} else {
  const m = role || 'file';
  const base = fs.mkdtempSync((process.env.BENCH_DIR || require('node:os').tmpdir()) + '/floor-');
  const F = [];
  for (let i = 0; i < 2; i++) F.push(fork(process.argv[1], ['follower', m, base + '/f' + i]));
  const ports = await Promise.all(F.map((f) => new Promise((r) => f.once('message', r))));
  const conns = await Promise.all(
    ports.map(
      (p) =>
        new Promise((r) => {
          const s = net.connect(p, '127.0.0.1', () => {
            s.setNoDelay(true);
            r(s);
          });
        }),
    ),
  );
  const match = [0, 0, 0];
  let idx = 0,
    commit = 0;
  const wait = [];
  let wh = 0;
  const adv = () => {
    const c = [...match].sort((a, b) => b - a)[1];
    while (commit < c) {
      commit++;
      const f = wait[wh++];
      f();
    }
    if (wh > 50000) {
      wait.splice(0, wh);
      wh = 0;
    }
  };
  conns.forEach((c, i) =>
    reader(c, (b) => {
      match[i + 1] = b.readDoubleBE(0);
      adv();
    }),
  );
  const append = await store(m, base + '/l');
  let q1 = [],
    sch = false,
    syncing = false,
    local = [],
    syncs = 0;
  const sync = async () => {
    if (syncing) return;
    syncing = true;
    while (local.length) {
      const x = local;
      local = [];
      const li = idxOf(x);
      await append(x);
      syncs++;
      match[0] = li;
      adv();
    }
    syncing = false;
  };
  let localIdx = 0;
  const idxOf = (x) => (localIdx += x.length);
  const flush = () => {
    sch = false;
    const x = q1;
    q1 = [];
    const h = Buffer.alloc(8);
    h.writeDoubleBE(idx);
    const b = fr(Buffer.concat([h, ...x]));
    for (const c of conns) c.write(b);
    local.push(...x);
    sync();
  };
  const rep = (o) =>
    new Promise((r) => {
      idx++;
      q1.push(fr(Buffer.from(JSON.stringify(o))));
      wait.push(r);
      if (!sch) {
        sch = true;
        setImmediate(flush);
      }
    });
  const out = { mode: m };
  const obj = () => ({ term: 3, t: 'submit', id: idx, cmd: 'echo hello', pad: 'p'.repeat(220) });
  for (const C of [1, 64, 256, 1024]) {
    const lat = [];
    const s0 = syncs;
    const t0 = performance.now(),
      end = t0 + 2500;
    await Promise.all(
      [...Array(C)].map(async () => {
        while (performance.now() < end) {
          const t = performance.now();
          await rep(obj());
          lat.push(performance.now() - t);
        }
      }),
    );
    const el = (performance.now() - t0) / 1000;
    out['inproc_c' + C] = {
      commits_s: Math.round(lat.length / el),
      p50: q(lat, 0.5),
      p99: q(lat, 0.99),
      syncs_s: Math.round((syncs - s0) / el),
    };
  }
  const tcp = net.createServer((c) => {
    c.setNoDelay(true);
    let o = [],
      s = false;
    reader(c, (b) => {
      const x = JSON.parse(b);
      rep(x).then(() => {
        o.push(fr(Buffer.from(`{"i":${x.i},"ok":true}`)));
        if (!s) {
          s = true;
          setImmediate(() => {
            s = false;
            c.write(Buffer.concat(o));
            o = [];
          });
        }
      });
    });
    c.on('error', () => {});
  });
  await new Promise((r) => tcp.listen(0, '127.0.0.1', r));
  for (const C of [1, 64, 256, 1024]) {
    const cl = fork(process.argv[1], ['client', tcp.address().port, C + ',2.5']);
    out['tcp_taskcycle_c' + C] = await new Promise((r) => cl.once('message', r));
  }
  const srv = http.createServer((req, res) => {
    const c = [];
    req.on('data', (d) => c.push(d));
    req.on('end', async () => {
      const x = JSON.parse(Buffer.concat(c));
      await rep(x);
      const b = '{"ok":true}';
      res.writeHead(200, { 'content-type': 'application/json', 'content-length': b.length });
      res.end(b);
    });
  });
  await new Promise((r) => srv.listen(0, '127.0.0.1', r));
  for (const C of [1, 64, 256]) {
    const p = spawn('wrk', [
      '-t1',
      '-c' + C,
      '-d3s',
      '--latency',
      '-s',
      new URL('post.lua', import.meta.url).pathname,
      `http://127.0.0.1:${srv.address().port}/t`,
    ]);
    let o = '';
    p.stdout.on('data', (d) => (o += d));
    await new Promise((r) => p.on('close', r));
    out['http_c' + C] = {
      rps: Math.round(+/Requests\/sec:\s+([\d.]+)/.exec(o)?.[1]),
      p50: /50%\s+(\S+)/.exec(o)?.[1],
      p99: /99%\s+(\S+)/.exec(o)?.[1],
    };
  }
  console.log(JSON.stringify(out));
  F.forEach((f) => f.kill('SIGKILL'));
  fs.rmSync(base, { recursive: true, force: true });
  process.exit(0);
}
