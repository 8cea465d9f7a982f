import { makeRun } from './runs.ts';
const kind = process.argv[2] as 'node';
let v = 0;
const t = process.cpuUsage();
for (let seed = 1; seed <= 60; seed++) {
  const r = await makeRun({ kind, seed, voters: 3 }).run();
  v += r.virtualMs;
}
const u = process.cpuUsage(t);
console.log(kind, v / ((u.user + u.system) / 1000));
