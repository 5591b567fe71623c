import { systemClock } from '../../lib/clock.ts';
import { parseDuration } from '../../lib/duration.ts';
import { UsageError } from '../command.ts';

const ISO = /^\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d{1,3})?)?(?:Z|[+-]\d\d:\d\d))?$/;

/** Parses a time in the past: ISO 8601 (a date is its start in UTC), or a duration ago. @returns ms @throws UsageError */
export function readTimestamp(option: string, text: string): number {
  const ago = parseDuration(text);
  const now = systemClock.now();
  const at = ago !== undefined ? now - ago * 1000 : ISO.test(text) ? Date.parse(text) : NaN;
  if (Number.isNaN(at))
    throw new UsageError(
      `${option} ${JSON.stringify(text)} must be a time such as 2026-01-31T12:00:00Z, or how long ago, such as 90m, 1h, 2d`,
    );
  if (at > now) throw new UsageError(`${option} ${JSON.stringify(text)} must be in the past`);
  return at;
}
