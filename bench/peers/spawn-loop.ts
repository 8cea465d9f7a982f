/** Spawns /bin/true so many times, one after the other: what spawn.ts compares the cluster with. Its last argument is how many. */
import { spawn } from 'node:child_process';

let left = Number(process.argv.at(-1));

function next(): void {
  if (left === 0) return;
  left -= 1;
  spawn('/bin/true', { stdio: ['ignore', 'pipe', 'pipe'] }).on('close', next);
}

next();
