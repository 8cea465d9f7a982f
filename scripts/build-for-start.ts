/** What `npm start` needs built: `node --import tsx scripts/build-for-start.ts`. */
import { join } from 'node:path';
import { build } from 'vite';
import { buildModules, buildWhole } from './quick-build.ts';

const root = join(import.meta.dirname, '..');
const source = join(root, 'src');
const page = join('web', 'ui');
const stamps = (name: string): string => join(root, 'node_modules', '.cache', 'quick-build', `${name}.json`);

await Promise.all([
  buildModules({
    source,
    out: join(root, 'dist'),
    stamps: stamps('modules'),
    only: (file) => !file.startsWith(page),
  }),
  // The page shares shapes with the rest: any source may be one of its own.
  buildWhole({ source, out: join(root, 'dist', page, 'index.html'), stamps: stamps('page') }, () =>
    build({ configFile: join(source, page, 'vite.config.ts'), logLevel: 'warn' }),
  ),
]);
