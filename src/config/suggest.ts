/** The known name that a mistyped one most likely stands for; none when nothing is close. */
export function nearest(name: string, known: readonly string[]): string | undefined {
  const furthest = name.length < 4 ? 1 : Math.max(2, Math.floor(name.length / 3));
  const ranked = known
    .map((candidate) => ({ candidate, distance: distance(name.toLowerCase(), candidate.toLowerCase()) }))
    .filter((entry) => entry.distance <= furthest)
    .toSorted((a, b) => a.distance - b.distance);
  return ranked[0]?.candidate;
}

/** ` (did you mean X?)`, or nothing. */
export function didYouMean(name: string, known: readonly string[]): string {
  const candidate = name.length > 64 ? undefined : nearest(name, known);
  return candidate === undefined ? '' : ` (did you mean ${candidate}?)`;
}

/** Levenshtein's distance, one row at a time. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (const [i, letter] of [...a].entries()) {
    const next = [i + 1];
    for (let j = 1; j <= b.length; j++) {
      const substituted = (row[j - 1] ?? 0) + (letter === b[j - 1] ? 0 : 1);
      next.push(Math.min(substituted, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
