import type { Result } from './measure.ts';

const COLUMNS: readonly { title: string; cell: (result: Result) => string }[] = [
  { title: '', cell: ({ name }) => name },
  { title: 'req/s', cell: ({ rate }) => whole(rate) },
  { title: 'median ms', cell: ({ median }) => median.toFixed(1) },
  { title: 'p99 ms', cell: ({ p99 }) => p99.toFixed(1) },
  { title: 'CPU s/1000', cell: ({ cpu }) => cpu.toFixed(cpu < 0.1 ? 3 : 2) },
  { title: 'reads', cell: ({ reads }) => String(reads) },
  { title: 'writes', cell: ({ writes }) => String(writes) },
  { title: 'signatures', cell: ({ signatures }) => String(signatures) },
  { title: 'floor req/s', cell: ({ floorRate }) => whole(floorRate) },
  { title: 'ratio', cell: ({ ratio }) => ratio.toFixed(2) },
  { title: 'by CPU', cell: ({ cpuRatio }) => cpuRatio.toFixed(2) },
];

/** One line per result, aligned, as Markdown. */
export function table(results: readonly Result[]): string {
  const rows = [COLUMNS.map(({ title }) => title), ...results.map((result) => COLUMNS.map(({ cell }) => cell(result)))];
  const widths = COLUMNS.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const pad = (text: string, column: number): string =>
    column === 0 ? text.padEnd(widths[0] ?? 0) : text.padStart(widths[column] ?? 0);
  const [head = '', ...body] = rows.map((row) => `| ${row.map(pad).join(' | ')} |`);
  const rule = `|${widths.map((width, column) => (column === 0 ? '-'.repeat(width + 2) : `${'-'.repeat(width + 1)}:`)).join('|')}|`;
  return [head, rule, ...body].join('\n');
}

function whole(value: number): string {
  return Math.round(value).toLocaleString('en');
}
