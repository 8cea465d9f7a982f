/** The command line in this process: what is refused before anybody is asked needs no process of its own. */
import type { Command } from 'commander';
import { exitCodeOfError, explain } from '../../src/cli/exit-code.ts';
import { buildProgram } from '../../src/cli/program.ts';

/** `command` and all below it. */
export function commandsOf(command: Command): readonly Command[] {
  return [command, ...command.commands.flatMap(commandsOf)];
}

/** The whole command line, which can start no node; what it says goes to `hear`. */
export function heardProgram(hear: (text: string) => void): Command {
  const program = buildProgram(() => Promise.reject(new Error('no node is to be started')));
  for (const command of commandsOf(program)) command.configureOutput({ writeErr: hear, writeOut: hear });
  return program;
}

export interface Parsed {
  readonly code: number;
  readonly said: string;
}

/** Runs a command line; what it says instead of exiting. */
export async function parse(args: readonly string[], server = '127.0.0.1:1'): Promise<Parsed> {
  let said = '';
  const program = heardProgram((text) => (said += text));
  try {
    await program.parseAsync(['node', 'clb', '--server', server, ...args]);
    return { code: 0, said };
  } catch (error) {
    return { code: exitCodeOfError(error), said: said + explain(error).join('\n') };
  }
}
