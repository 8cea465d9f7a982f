/**
 * The files of docs/deploy against the command line: what units, compose and Kubernetes start is understood by it, every probe
 * calls what is there, every name that is referred to exists. YAML is read by Python's yaml; without it, said loudly and
 * skipped.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, it } from 'node:test';
import { buildProgram } from '../../src/cli/program.ts';

const root = resolve(import.meta.dirname, '../..');
const PYTHON = ['python3', '/usr/bin/python3'].find(
  (python) => spawnSync(python, ['-c', 'import yaml']).status === 0,
);
if (PYTHON === undefined)
  console.error('SKIPPED: reading YAML needs Python with yaml (apt-get install python3-yaml)');
const skip = PYTHON === undefined ? 'no yaml' : false;

function yaml(file: string): unknown[] {
  const program = 'import json,sys,yaml; print(json.dumps(list(yaml.safe_load_all(open(sys.argv[1])))))';
  const { stdout, stderr } = spawnSync(PYTHON ?? '', ['-c', program, join(root, file)], { encoding: 'utf8' });
  assert.equal(stderr, '');
  return JSON.parse(stdout) as unknown[];
}

/** Parses as `clb` does; what it would start is given back. @throws CommanderError, CliError */
async function started(args: readonly string[]): Promise<string> {
  let what = '';
  const as = (name: string) => (): Promise<void> => {
    what = name;
    return Promise.resolve();
  };
  const program = buildProgram(() =>
    Promise.resolve({
      runServer: as('server'),
      runWorker: as('worker'),
      runClient: as('client'),
      runDatabase: as('database'),
      runUp: as('up'),
      auditFolders: () => Promise.reject(new Error('nothing is to be audited')),
      recoverServer: () => Promise.reject(new Error('nothing is to be recovered')),
    }),
  );
  const before = process.exitCode;
  await program.parseAsync(['node', 'clb', ...args]);
  process.exitCode = before;
  return what;
}

interface Labels {
  readonly [name: string]: string;
}
interface Probe {
  readonly exec: { readonly command: readonly string[] };
}
interface Container {
  readonly name: string;
  readonly args: readonly string[];
  readonly ports: readonly { readonly name: string; readonly containerPort: number }[];
  readonly livenessProbe: Probe;
  readonly readinessProbe: Probe;
  readonly securityContext: { readonly readOnlyRootFilesystem: boolean };
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[];
}
interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly clusterIP?: string;
    readonly serviceName?: string;
    readonly replicas?: number;
    readonly selector: Labels & { readonly matchLabels?: Labels };
    readonly template?: {
      readonly metadata: { readonly labels: Labels };
      readonly spec: {
        readonly containers: readonly Container[];
        readonly volumes: readonly {
          readonly name: string;
          readonly persistentVolumeClaim?: { readonly claimName: string };
        }[];
      };
    };
    readonly volumeClaimTemplates?: readonly { readonly metadata: { readonly name: string } }[];
  };
}

const ofKind = (all: readonly Manifest[], kind: string): readonly Manifest[] =>
  all.filter((manifest) => manifest.kind === kind);

describe('docs/deploy', () => {
  it(
    'starts on Kubernetes what the command line understands, with probes, volumes and names that exist',
    { skip },
    async () => {
      const all = yaml('docs/deploy/kubernetes/clb.yaml') as Manifest[];
      const services = ofKind(all, 'Service').map(({ metadata }) => metadata.name);
      const claims = ofKind(all, 'PersistentVolumeClaim').map(({ metadata }) => metadata.name);
      const workloads = all.filter(({ spec }) => spec.template !== undefined);
      assert.deepEqual(workloads.map(({ metadata }) => metadata.name).toSorted(), [
        'client',
        'database',
        'server',
        'worker',
      ]);
      for (const { kind, metadata, spec } of workloads) {
        const { template } = spec;
        assert.ok(template !== undefined);
        assert.deepEqual(spec.selector.matchLabels, template.metadata.labels, metadata.name);
        assert.ok(services.includes(spec.serviceName ?? metadata.name), 'its service');
        const [container] = template.spec.containers;
        assert.ok(container !== undefined);
        const args = container.args.map((arg) => arg.replaceAll('$(POD_NAME)', `${metadata.name}-0`));
        assert.equal(await started(['--token', 'secret', ...args]), metadata.name);
        const port = String(container.ports[0]?.containerPort);
        assert.ok(args.includes(`--port=${port}`));
        for (const { exec } of [container.livenessProbe, container.readinessProbe]) {
          const [program, script = '', asked, path = '/healthz'] = exec.command;
          assert.deepEqual([program, asked], ['node', port]);
          assert.ok(existsSync(join(root, script.replace('/app/', ''))), script);
          assert.match(path, /^\/(healthz|readyz)$/);
        }
        assert.ok(container.securityContext.readOnlyRootFilesystem);
        const volumes = new Set([
          ...template.spec.volumes.map(({ name }) => name),
          ...(spec.volumeClaimTemplates ?? []).map((claim) => claim.metadata.name),
        ]);
        for (const { name } of container.volumeMounts)
          assert.ok(volumes.has(name), `${metadata.name}: ${name}`);
        assert.ok(container.volumeMounts.some(({ mountPath }) => mountPath === '/data'));
        if (kind === 'StatefulSet') assert.ok(spec.volumeClaimTemplates !== undefined);
        for (const { persistentVolumeClaim } of template.spec.volumes)
          if (persistentVolumeClaim !== undefined)
            assert.ok(claims.includes(persistentVolumeClaim.claimName));
      }
      const server = ofKind(workloads, 'StatefulSet').find(({ metadata }) => metadata.name === 'server');
      assert.equal(server?.spec.replicas, 3);
      assert.equal(
        ofKind(all, 'Service').find(({ metadata }) => metadata.name === 'server')?.spec.clusterIP,
        'None',
      );
    },
  );

  it('starts with systemd what the command line understands', async () => {
    const folder = join(root, 'docs/deploy/systemd');
    const units = readdirSync(folder);
    assert.equal(units.length, 4);
    const values: Readonly<Record<string, string>> = {
      CLB_ID: 'server1',
      CLB_ADVERTISE: 'a.lan:3002',
      CLB_PEERS: 'server1=a.lan:3002,server2=b.lan:3002,server3=c.lan:3002',
      CLB_SERVERS: 'a.lan:3002,b.lan:3002',
      CLB_DATABASE: 'http://d.lan:3003',
    };
    for (const unit of units) {
      const text = readFileSync(join(folder, unit), 'utf8');
      const line = /^ExecStart=(.*)$/m.exec(text.replaceAll('\\\n', ' '))?.[1] ?? '';
      const words = line.split(/\s+/);
      const args = words
        .slice(words.indexOf('/opt/clb/bin/clb.js') + 1)
        .map((word) => word.replace(/\$\{(CLB_\w+)\}/, (_, name: string) => values[name] ?? `no ${name}`));
      const tokenAt = args.indexOf('--token-file');
      args.splice(tokenAt, 2, '--token', 'secret');
      assert.equal(`clb-${await started(args)}.service`, unit);
      for (const section of ['Unit', 'Service', 'Install'])
        assert.match(text, new RegExp(`^\\[${section}\\]$`, 'm'));
      for (const [key, value] of [
        ['User', 'clb'],
        ['KillMode', 'mixed'],
        ['Restart', 'always'],
        ['RestartPreventExitStatus', '2'],
      ])
        assert.match(text, new RegExp(`^${String(key)}=${String(value)}$`, 'm'), unit);
    }
  });

  it('and compose too', { skip }, async () => {
    const [compose] = yaml('docker-compose.yml') as { services: Record<string, { command: string[] }> }[];
    for (const [name, { command }] of Object.entries(compose?.services ?? {}))
      assert.equal(await started(command), name.replace(/\d$/, ''), name);
  });
});
