import { timingSafeEqual } from 'node:crypto';

/** Compares without telling by its time how much of the texts is alike. */
export function isSameText(one: string, other: string): boolean {
  const [a, b] = [Buffer.from(one), Buffer.from(other)];
  return a.length === b.length && timingSafeEqual(a, b);
}
