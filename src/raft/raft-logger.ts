/** Where src/raft writes its few lines for the operator. pino fits. */
export interface RaftLogger {
  info(line: string): void;
  warn(line: string): void;
  error(line: string): void;
}

export const silentLogger: RaftLogger = {
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};
