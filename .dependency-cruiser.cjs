// The dependency rule of docs/architecture.md: who may import whom. Run by `npm run lint`.
const FOLDERS = ['raft', 'scheduler', 'worker', 'link', 'web', 'sdk', 'cli', 'node', 'net', 'api', 'verify'];

/** `folder` may import only what is in `allowed` (itself included). */
const only = (folder, allowed, comment) => ({
  name: `${folder.replaceAll('/', '-')}-imports`,
  comment,
  severity: 'error',
  from: { path: `^src/${folder}/` },
  to: { path: `^src/(${FOLDERS.join('|')})/`, pathNot: allowed.map((name) => `^src/${name}/`) },
});

module.exports = {
  forbidden: [
    { name: 'no-circular', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'raft-core-imports-nothing',
      comment: 'raft/core is pure: it imports nothing but itself',
      severity: 'error',
      from: { path: '^src/raft/core/' },
      to: { pathNot: '^src/raft/core/' },
    },
    {
      name: 'state-and-placement-import-no-io',
      comment: 'the state machine and placement import no IO',
      severity: 'error',
      from: { path: '^src/scheduler/(state|placement)/' },
      to: { dependencyTypes: ['core'] },
    },
    only('raft', ['raft', 'net'], 'raft knows nothing of tasks, HTTP routes or processes'),
    only('net', ['net'], 'net is the bottom'),
    only('api', ['api'], 'api holds the shapes of the outside and imports nobody'),
    only('link', ['link', 'net', 'api'], 'link is a protocol'),
    only('scheduler', ['scheduler', 'raft', 'link', 'api'], 'scheduler meets the others through interfaces'),
    only('worker', ['worker', 'link', 'net', 'api'], 'a worker meets the cluster only through the link'),
    only('web', ['web', 'api', 'net', 'sdk'], 'web meets the cluster only through interfaces'),
    only('sdk', ['sdk', 'api'], 'sdk talks HTTP only'),
    only('verify', ['verify', 'api'], 'what checks the state machine shares no code with it'),
    only(
      'cli',
      ['cli', 'sdk', 'api', 'node', 'verify'],
      'commands are thin calls of the sdk, or start a node',
    ),
  ],
  options: {
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    doNotFollow: { path: 'node_modules' },
    enhancedResolveOptions: {
      extensions: ['.ts', '.tsx', '.js'],
      exportsFields: ['exports'],
      conditionNames: ['import', 'types', 'node', 'default'],
    },
  },
};
