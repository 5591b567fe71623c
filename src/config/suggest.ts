/** Returns the known name closest to a mistyped one; undefined if none is close. */
function nearest(name: string, known: readonly string[]): string | undefined {
  const furthest = name.length < 4 ? 1 : Math.max(2, Math.floor(name.length / 3));
  const ranked = known
    .map((candidate) => ({ candidate, distance: distance(name.toLowerCase(), candidate.toLowerCase()) }))
    .filter((entry) => entry.distance <= furthest)
    .toSorted((a, b) => a.distance - b.distance);
  return ranked[0]?.candidate;
}

/** Returns ` (did you mean X?)`, or an empty text. */
export function didYouMean(name: string, known: readonly string[]): string {
  const candidate = name.length > 64 ? undefined : nearest(name, known);
  return candidate === undefined ? '' : ` (did you mean ${candidate}?)`;
}

/** Returns the Damerau–Levenshtein distance, computed row by row. Two swapped neighbours count as one mistake. */
function distance(a: string, b: string): number {
  let before: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const substituted = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      const areSwapped = a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      const swapped = areSwapped ? (before[j - 2] ?? Infinity) + 1 : Infinity;
      next.push(Math.min(substituted, swapped, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    [before, row] = [row, next];
  }
  return row[b.length] ?? 0;
}
