import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { addCancel, addRetry } from './commands/change-task.ts';
import { addCompletion } from './commands/completion.ts';
import { addFiles } from './commands/files.ts';
import { addLogs } from './commands/logs.ts';
import { addClient, addDatabase, addServer, addUp, addWorker } from './commands/node.ts';
import { addDrain, addNodes, addStart, addStop } from './commands/nodes.ts';
import { addQueue } from './commands/queue.ts';
import { addSchedule } from './commands/schedule.ts';
import { addRaft } from './commands/raft.ts';
import { addRun, addSubmit } from './commands/submit.ts';
import { addTask } from './commands/task.ts';
import { addTasks } from './commands/tasks.ts';
import { addVerify } from './commands/verify.ts';
import { addWait } from './commands/wait.ts';
import { addGlobalOptions } from './context.ts';
import { usageError } from './exit-code.ts';
import { nodeProblem } from './local-paths.ts';
import type { Platform } from './local-paths.ts';
import type { LoadNodeRuntime } from './node-runtime.ts';

const packageFile = new URL('../../package.json', import.meta.url);

/** The whole command line. Parsing throws CommanderError instead of ending the process. */
export function buildProgram(
  loadNodeRuntime: LoadNodeRuntime,
  platform: Platform = process.platform,
): Command {
  const { version } = JSON.parse(readFileSync(packageFile, 'utf8')) as { version: string };
  const program = new Command('clb')
    .description('CLB, Container Load Balancer: runs scripts and commands on a small, replicated cluster.')
    .version(version, '-V, --version', 'print the version')
    .exitOverride()
    .configureOutput({ outputError: (text, write) => write(withShortArgument(text)) })
    .configureHelp({ showGlobalOptions: true })
    .addHelpText(
      'after',
      `
First steps:
  clb up                       start a cluster on this machine
  clb run -- echo hello        run something on it
  clb tasks                    see what was run
  clb raft                     see who is the master

Exit codes: 0 ok, 1 error, 2 usage, 3 not found, 4 no master or no quorum. run, submit --wait and wait exit with the
task's own code; 124 timed out, 128+N ended by signal N, 130 canceled or Ctrl-C, 125 CLB itself failed.`,
    );
  addGlobalOptions(program);
  program.commandsGroup('Tasks:');
  addSubmit(program);
  addRun(program);
  addTasks(program);
  addTask(program);
  addLogs(program);
  addFiles(program);
  addWait(program);
  addCancel(program);
  addRetry(program);
  program.commandsGroup('Cluster:');
  addNodes(program);
  addDrain(program);
  addQueue(program);
  addSchedule(program);
  addRaft(program, loadNodeRuntime);
  addVerify(program, loadNodeRuntime);
  addStop(program);
  addStart(program);
  program.commandsGroup('Nodes:');
  addUp(program, loadNodeRuntime);
  addServer(program, loadNodeRuntime);
  addWorker(program, loadNodeRuntime);
  addClient(program, loadNodeRuntime);
  addDatabase(program, loadNodeRuntime);
  program.commandsGroup('Shell:');
  addCompletion(program);
  pointToHelp(program, 'clb');
  program.hook('preAction', (_program, command) => {
    const problem = isNodeCommand(command.name()) ? nodeProblem(platform) : null;
    if (problem !== null) throw usageError(`clb ${command.name()}: ${problem}`);
  });
  return program;
}

/** A wrong use of a command ends with where to read about that command. */
function pointToHelp(command: Command, words: string): void {
  command.showHelpAfterError(`See \`${words} --help\`.`);
  for (const sub of command.commands) pointToHelp(sub, `${words} ${sub.name()}`);
}

const ARGUMENT_CHARS_MAX = 60;

/** What is said of an argument, which is quoted whole, however long. */
function withShortArgument(text: string): string {
  return text.replace(/(['"])(.*?)\1/gs, (whole, mark: string, quoted: string) =>
    quoted.length <= ARGUMENT_CHARS_MAX
      ? whole
      : `${mark}${quoted.slice(0, ARGUMENT_CHARS_MAX)}…${mark} (${quoted.length} characters)`,
  );
}

/** Whether the command is a node: it outlives whoever reads its output. */
export function isNodeCommand(name: string): boolean {
  return ['up', 'server', 'worker', 'client', 'database'].includes(name);
}
