import { useEffect, useRef, useState } from 'preact/hooks';

/**
 * The text of a search that is in the address: applied `afterMs` after the last letter. What comes from the address replaces it;
 * what came from here is not put back over what is typed meanwhile, nor over what was typed before the view was drawn.
 */
export function useTyped(
  shown: string,
  afterMs: number,
  apply: (text: string) => void,
): readonly [typed: string, setTyped: (text: string) => void] {
  const [typed, setTyped] = useState(shown);
  const known = useRef(shown);
  // What else is in the address may change while the timer runs.
  const latest = useRef(apply);
  latest.current = apply;
  useEffect(() => {
    if (shown === known.current) return;
    known.current = shown;
    setTyped(shown);
  }, [shown]);
  useEffect(() => {
    const text = typed.trim();
    if (text === known.current) return;
    const timer = setTimeout(() => {
      known.current = text;
      latest.current(text);
    }, afterMs);
    return () => clearTimeout(timer);
  }, [typed]);
  return [typed, setTyped];
}
