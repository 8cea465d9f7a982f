import type { VNode } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import type { Curve } from '../model/history.ts';
import type { drawChart } from './chart-plot.ts';

export interface ChartProps {
  readonly title: string;
  readonly timesMs: readonly number[];
  readonly curves: readonly Curve[];
  /** Behind the numbers of the axis. */
  readonly unit: string;
}

type Plot = ReturnType<typeof drawChart>;

/** Curves over time. What draws them is fetched when the first of them is shown. */
export function Chart({ title, timesMs, curves, unit }: ChartProps): VNode {
  const box = useRef<HTMLDivElement>(null);
  const [plot, setPlot] = useState<Plot | null>(null);
  const [failed, setFailed] = useState(false);
  const names = curves.map(({ label }) => label).join(' ');
  useEffect(() => {
    if (names === '') return;
    let made: Plot | null = null;
    let gone = false;
    const make = async (): Promise<void> => {
      const { drawChart: draw } = await import('./chart-plot.ts');
      // It may have been left while this was on its way.
      if (gone || box.current === null) return;
      made = draw(box.current, names.split(' '), unit);
      setPlot(made);
    };
    make().catch(() => setFailed(true));
    return () => {
      gone = true;
      made?.destroy();
      setPlot(null);
    };
  }, [names, unit]);
  useEffect(() => plot?.show(timesMs, curves), [plot, timesMs, curves]);
  return (
    <div class="chart" data-testid="chart" data-ready={plot !== null}>
      <div ref={box} class="chart-box" role="img" aria-label={`${title} over the last minutes: ${names}`} />
      {plot === null ? (
        <p class="chart-none muted">
          {failed ? 'The curves could not be loaded.' : 'The first curve takes a moment.'}
        </p>
      ) : null}
    </div>
  );
}
