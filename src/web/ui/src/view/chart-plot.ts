/** The only file that knows uPlot; loaded with the first chart. */
import UPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import type { Curve } from '../model/history.ts';
import { clockTime } from '../model/format.ts';
import { CURVES_MAX } from '../model/history.ts';

const HEIGHT_PX = 190;
const DARK = '(prefers-color-scheme: dark)';

export interface Plot {
  readonly show: (timesMs: readonly number[], curves: readonly Curve[]) => void;
  readonly destroy: () => void;
}

/** A chart that keeps the width of its box and the colours of the theme. */
export function drawChart(box: HTMLElement, labels: readonly string[], unit: string): Plot {
  let data: UPlot.AlignedData = [[], ...labels.map(() => [])];
  const make = (): UPlot => new UPlot(optionsFor(box, labels, unit), data, box);
  let plot = make();
  const observer = new ResizeObserver(() => plot.setSize({ width: box.clientWidth, height: HEIGHT_PX }));
  observer.observe(box);
  const theme = window.matchMedia(DARK);
  const redraw = (): void => {
    plot.destroy();
    plot = make();
  };
  theme.addEventListener('change', redraw);
  return {
    show: (timesMs, curves) => {
      data = [timesMs.map((ms) => ms / 1_000), ...curves.map(({ values }) => [...values])];
      plot.setData(data);
    },
    destroy: () => {
      theme.removeEventListener('change', redraw);
      observer.disconnect();
      plot.destroy();
    },
  };
}

function optionsFor(box: HTMLElement, labels: readonly string[], unit: string): UPlot.Options {
  const style = getComputedStyle(box);
  const token = (name: string): string => style.getPropertyValue(name).trim();
  const axis: UPlot.Axis = {
    stroke: token('--muted'),
    grid: { stroke: token('--line'), width: 1 },
    ticks: { stroke: token('--line'), width: 1 },
    font: `11px ${token('--font')}`,
  };
  return {
    width: box.clientWidth,
    height: HEIGHT_PX,
    cursor: { drag: { x: false, y: false } },
    legend: { live: false },
    scales: {
      // Percent is always of the same hundred; other numbers begin at nothing and have room above.
      y: { range: (_, _min, max) => (unit === '%' ? [0, 100] : [0, Math.max(1, max * 1.15)]) },
    },
    axes: [
      { ...axis, space: 90, values: (_, ticks) => ticks.map((tick) => clockTime(tick * 1_000)) },
      { ...axis, size: 46, values: (_, ticks) => ticks.map((tick) => `${String(tick)}${unit}`) },
    ],
    series: [
      {},
      ...labels.map((label, at) => ({
        label,
        stroke: token(`--curve-${String(1 + (at % CURVES_MAX))}`),
        width: 1.6,
        points: { show: false },
      })),
    ],
  };
}
