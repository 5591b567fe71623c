/** The first that fits counts: most browsers also claim to be the ones that came before them. */
const BROWSERS: readonly [RegExp, string][] = [
  [/\bEdg(?:e|A|iOS)?\//, 'Edge'],
  [/\b(?:OPR|Opera|OPiOS)\//, 'Opera'],
  [/\bSamsungBrowser\//, 'Samsung Internet'],
  [/\b(?:Firefox|FxiOS)\//, 'Firefox'],
  [/\b(?:Chrome|Chromium|CriOS)\//, 'Chrome'],
  [/\bVersion\/.*\bSafari\//, 'Safari'],
];

/** Characters of a `User-Agent` that are looked at. */
const LONGEST = 512;

const SYSTEMS: readonly [RegExp, string][] = [
  [/\biPhone\b/, 'iPhone'],
  [/\biPad\b/, 'iPad'],
  [/\bAndroid\b/, 'Android'],
  [/\bCrOS\b/, 'ChromeOS'],
  [/\bWindows\b/, 'Windows'],
  [/\bMacintosh\b/, 'Mac'],
  [/\bLinux\b/, 'Linux'],
];

/**
 * A browser as its owner would call it, such as `Firefox on Linux`: of what it says of itself (RFC 9110 §10.1.5), no more
 * than that is kept. One of our own words, whatever a stranger sends.
 */
export function browserInWords(userAgent: string): string | undefined {
  // No browser says more, and what one expression costs grows with the square of the length.
  const said = userAgent.slice(0, LONGEST);
  const named = (list: typeof BROWSERS) => list.find(([pattern]) => pattern.test(said))?.[1];
  const [browser, system] = [named(BROWSERS), named(SYSTEMS)];
  if (system === undefined) return browser;
  return `${browser ?? 'A browser'} on ${system}`;
}
