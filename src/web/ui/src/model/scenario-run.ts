/** The five recoveries of the original project, by what happens to whom and when. */
export const SCENARIOS = {
  'master-before': 'The master is stopped, then a payload is sent',
  'worker-before': 'A worker is stopped, then a payload is sent',
  'master-after': 'The master is stopped after it sent the payload on',
  'master-between': 'The master is stopped after it received the payload and before it sent it on',
  'worker-between': 'The worker is stopped after it received the payload and before it sent the result back',
} as const;
export type ScenarioName = keyof typeof SCENARIOS;

export interface ScenarioStep {
  readonly text: string;
  readonly state: 'running' | 'done' | 'failed';
  /** How long it took; null while it goes on. */
  readonly tookMs: number | null;
  /** What came of it, where there is something to tell. */
  readonly told: string | null;
}

export interface ScenarioRun {
  readonly name: ScenarioName;
  readonly steps: readonly ScenarioStep[];
  readonly state: 'running' | 'passed' | 'failed';
}
