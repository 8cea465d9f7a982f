// The rules of the project for this folder, which the project's own configuration leaves out.
import project from '../../eslint.config.js';

export default [
  ...project.filter((part) => !('ignores' in part)),
  // as the project has it for all of bench/: its patterns are relative to its own folder
  { files: ['**/*.ts'], rules: { '@typescript-eslint/no-non-null-assertion': 'off' } },
  { files: ['eslint.config.js'], rules: { 'no-restricted-exports': 'off' } },
];
