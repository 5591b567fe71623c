/** Position of a setting: keys and list indexes from the root. */
export type Path = readonly (string | number)[];

/** A problem with a setting, as a check reports it. */
export interface Fault {
  path: Path;
  /** The text for the operator. It never holds a secret. */
  message: string;
}

/** A fault as a report shows it, with its place in the file or its environment variable. */
export interface Problem {
  /** A path such as `clients[2].redirect_uris[0]`, or the name of the environment variable that holds the value. */
  path: string;
  message: string;
  /** The wrong value as JSON; absent if it may be a secret or is not a single value. */
  value?: string;
  /** The line of the file, counted from 1, that holds the value or should hold it. */
  line?: number;
  /** The offset in the text of the file, by which a report sorts its problems. */
  offset?: number;
}

/** Error for a configuration that cannot be used. The message is the whole report, one line for each problem. */
export class ConfigError extends Error {
  override name = 'ConfigError';
  readonly problems: readonly Problem[];

  constructor(source: string, problems: readonly Problem[]) {
    const count = problems.length === 1 ? 'a problem' : `${problems.length} problems`;
    super(`${source} has ${count}:\n\n${describeProblems(source, problems)}`);
    this.problems = problems;
  }
}

/** Formats one line for each problem: `latchkey.yaml:14  clients[1].secret: …`. */
export function describeProblems(source: string, problems: readonly Problem[]): string {
  const locations = problems.map(({ line }) => (line === undefined ? '' : `${source}:${line}`));
  const width = Math.max(0, ...locations.map((place) => place.length));
  return problems
    .map(({ path, message, value }, index) => {
      const place = (locations[index] ?? '').padEnd(width);
      return `  ${place}${width > 0 ? '  ' : ''}${path === '' ? '' : `${path}: `}${message}${value === undefined ? '' : ` (it is ${value})`}`;
    })
    .join('\n');
}

/** Formats a path: `['clients', 2, 'secret']` as `clients[2].secret`. */
export function pathText(path: Path): string {
  return path.reduce<string>((text, step) => {
    if (typeof step === 'number') return `${text}[${step}]`;
    if (!/^[\w-]+$/.test(step)) return `${text}[${JSON.stringify(step)}]`;
    return text === '' ? step : `${text}.${step}`;
  }, '');
}

export function isWithin(path: Path, ancestor: Path): boolean {
  return ancestor.every((step, index) => path[index] === step);
}
