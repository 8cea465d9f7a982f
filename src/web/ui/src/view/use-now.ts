import { useEffect, useState } from 'preact/hooks';
import { useSelect } from './context.ts';

/** One timer for everything on the page that shows how long ago something was. */
const TICK_MS = 1_000;

const listeners = new Set<() => void>();
let timer: ReturnType<typeof setInterval> | null = null;

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  timer ??= setInterval(() => {
    if (document.hidden) return;
    for (const each of [...listeners]) each();
  }, TICK_MS);
  return () => {
    listeners.delete(listener);
    if (listeners.size > 0 || timer === null) return;
    clearInterval(timer);
    timer = null;
  };
}

/** This machine's time, drawn again every second. */
export function useNow(): number {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => subscribe(() => setNow(Date.now())), []);
  return now;
}

/** The servers' time, for what they stamped. */
export function useServerNow(): number {
  const skewMs = useSelect((state) => state.skewMs);
  return useNow() + skewMs;
}
