const SECONDS = { s: 1, m: 60, h: 3600, d: 86_400 } as const;

/**
 * Reads a duration such as `90s`, `15m`, `1h`, `14d`.
 * @returns whole seconds, or `undefined` when the text is not a duration
 */
export function parseDuration(text: string): number | undefined {
  const match = /^(\d{1,6})([smhd])$/.exec(text);
  if (match === null) return undefined;
  return Number(match[1]) * SECONDS[match[2] as keyof typeof SECONDS];
}

/** Writes whole seconds as `parseDuration` reads them, in the largest unit that needs no fraction. */
export function durationText(seconds: number): string {
  const units = Object.entries(SECONDS).toReversed();
  const [unit = 's', size = 1] = units.find(([, size]) => seconds % size === 0) ?? [];
  return `${seconds / size}${unit}`;
}
