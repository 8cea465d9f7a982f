#!/usr/bin/env node
// `healthcheck.js PORT [PATH]`: exit 0 if the node on this port of this machine is alive (PATH /readyz: ready). For container
// health checks.
import { get } from 'node:http';

const port = Number(process.argv[2]);
const token = process.env.CLB_TOKEN;
get(
  {
    host: '127.0.0.1',
    port,
    path: process.argv[3] ?? '/healthz',
    timeout: 2_500,
    headers: token ? { authorization: `Bearer ${token}` } : {},
  },
  (response) => process.exit(response.statusCode === 200 ? 0 : 1),
)
  .on('timeout', () => process.exit(1))
  .on('error', () => process.exit(1));
