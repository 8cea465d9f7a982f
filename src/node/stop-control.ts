import type { StopControl } from '../web/stop.ts';

export type NodeStop = StopControl;

/** What a node does when it is stopped (a simulated crash) and started again. `stopped` turns first, so that requests are refused at once. */
export function stopControl(actions: {
  readonly onStop: () => Promise<void>;
  readonly onStart: () => Promise<void>;
}): NodeStop {
  let stopped = false;
  return {
    get stopped(): boolean {
      return stopped;
    },
    set: async (wanted) => {
      if (wanted === stopped) return;
      if (wanted) {
        stopped = true;
        await actions.onStop();
      } else {
        // Upgraded connections are taken again before the node's own worker dials.
        stopped = false;
        try {
          await actions.onStart();
        } catch (error) {
          stopped = true;
          throw error;
        }
      }
    },
  };
}
