/** Entry of the `clb` command: parses, runs, maps what went wrong to an exit code. */
import { EXIT, exitCodeOfError, explain } from './exit-code.ts';
import { buildProgram, isNodeCommand } from './program.ts';

let runsNode = false;

/** Whoever reads our output may leave early (`| head -1`): that is no error, and a node goes on without. */
function endQuietlyOnClosedPipe(stream: NodeJS.WriteStream): void {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE' && error.code !== 'EOF') throw error;
    if (!runsNode) process.exit(EXIT.ok);
  });
}

async function main(argv: readonly string[]): Promise<number> {
  const program = buildProgram(() => import('../node/index.ts'));
  program.hook('preAction', (_program, command) => {
    runsNode = isNodeCommand(command.name());
  });
  try {
    await program.parseAsync([...argv]);
    return typeof process.exitCode === 'number' ? process.exitCode : EXIT.ok;
  } catch (error) {
    const lines = explain(error);
    // The supervisor of a node (`clb up`) has been told, and tells it.
    const told = runsNode && process.send !== undefined;
    if (lines.length > 0 && !told) process.stderr.write(`clb: ${lines.join('\n')}\n`);
    return exitCodeOfError(error);
  }
}

function flushed(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => stream.write('', () => resolve()));
}

endQuietlyOnClosedPipe(process.stdout);
endQuietlyOnClosedPipe(process.stderr);
const exitCode = await main(process.argv);
await Promise.all([flushed(process.stdout), flushed(process.stderr)]);
// Kept connections must not keep the process.
process.exit(exitCode);
