import tseslint from 'typescript-eslint';
import { importX } from 'eslint-plugin-import-x';
import { createTypeScriptImportResolver } from 'eslint-import-resolver-typescript';

/** @param {string} target @param {string[]} from @param {string} message @param {string[]} [except] */
const zone = (target, from, message, except) =>
  from.map((f) => ({
    target: `./src/${target}`,
    from: `./src/${f}`,
    message,
    ...(except ? { except } : {}),
  }));

// The dependency rule (docs/architecture.md): who may import whom. Anything not named here may not point "up".
const everybodyBut = (...allowed) =>
  ['raft', 'scheduler', 'worker', 'link', 'web', 'sdk', 'cli', 'node', 'net', 'api'].filter(
    (d) => !allowed.includes(d),
  );

export default tseslint.config(
  { ignores: ['dist/', 'data/', 'node_modules/', 'bin/', 'bench/peers/', 'eslint.config.js', 'src/web/ui/vite.config.ts'] },
  ...tseslint.configs.strictTypeChecked,
  {
    plugins: { 'import-x': importX },
    languageOptions: {
      parserOptions: {
        project: ['./tsconfig.json', './src/web/ui/tsconfig.json'],
        tsconfigRootDir: import.meta.dirname,
      },
    },
    settings: {
      'import-x/resolver-next': [createTypeScriptImportResolver({ project: ['./tsconfig.json'] })],
    },
    rules: {
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true },
      ],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      '@typescript-eslint/no-unnecessary-condition': ['error', { allowConstantLoopConditions: true }],
      '@typescript-eslint/no-non-null-assertion': 'error',
      'import-x/no-default-export': 'error',
      'import-x/no-cycle': ['error', { ignoreExternal: true }],
      'import-x/no-restricted-paths': [
        'error',
        {
          basePath: import.meta.dirname,
          zones: [
            {
              target: './src/raft/core',
              from: './src',
              except: ['./raft/core'],
              message: 'raft/core imports nothing but itself',
            },
            ...zone(
              'raft',
              everybodyBut('raft', 'net'),
              'raft knows nothing of tasks, HTTP routes or processes',
            ),
            ...zone('net', everybodyBut('net'), 'net is the bottom'),
            ...zone('api', everybodyBut('api'), 'api holds the shapes of the outside and imports nobody'),
            ...zone('link', everybodyBut('link', 'net', 'api'), 'link is a protocol'),
            ...zone(
              'scheduler',
              everybodyBut('scheduler', 'raft', 'link', 'api'),
              'scheduler meets the others through interfaces',
            ),
            ...zone(
              'scheduler/state',
              everybodyBut('scheduler', 'api'),
              'the state machine and placement import no IO',
            ),
            ...zone(
              'worker',
              everybodyBut('worker', 'link', 'net', 'api'),
              'worker meets the cluster only through the link',
            ),
            ...zone(
              'web',
              everybodyBut('web', 'api', 'net', 'sdk'),
              'web meets the cluster only through interfaces',
            ),
            ...zone('sdk', everybodyBut('sdk', 'api'), 'sdk talks HTTP only'),
            ...zone(
              'cli',
              everybodyBut('cli', 'sdk', 'api', 'node'),
              'commands are thin calls of the sdk (or start a node)',
            ),
          ],
        },
      ],
    },
  },
  {
    // The deterministic parts: no clock, no randomness, no IO, no timers.
    files: ['src/raft/core/**', 'src/scheduler/state/**', 'src/scheduler/placement/**'],
    rules: {
      'no-restricted-globals': [
        'error',
        'setTimeout',
        'setInterval',
        'setImmediate',
        'queueMicrotask',
        'process',
        'Buffer',
        'fetch',
        'performance',
        'crypto',
        'console',
      ],
      'no-restricted-properties': [
        'error',
        { object: 'Date', property: 'now' },
        { object: 'Math', property: 'random' },
      ],
      'no-restricted-syntax': [
        'error',
        { selector: "NewExpression[callee.name='Date']", message: 'time comes in as an input' },
        { selector: 'ImportDeclaration[source.value=/^node:/]', message: 'no IO here' },
        { selector: 'AwaitExpression', message: 'synchronous here' },
      ],
    },
  },
  {
    files: ['test/**', 'bench/**', 'scripts/**'],
    rules: {
      // node:test's describe/it/test return promises that the runner itself awaits.
      '@typescript-eslint/no-floating-promises': [
        'error',
        {
          allowForKnownSafeCalls: [
            { from: 'package', name: ['describe', 'it', 'test', 'suite'], package: 'node:test' },
          ],
        },
      ],
      '@typescript-eslint/no-non-null-assertion': 'off',
    },
  },
  { files: ['**/*.js'], extends: [tseslint.configs.disableTypeChecked] },
);
