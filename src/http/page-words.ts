const OWN = 'http://own.invalid';

/**
 * An address that is safe to link to: http or https without credentials, or a path on this server.
 * @returns the address in its normal form, or `undefined` for every other one (`javascript:`, `data:`, `//host`)
 */
export function webUrl(text: string | undefined): string | undefined {
  const url = text === undefined ? null : URL.parse(text, OWN);
  if (url === null || text === undefined) return undefined;
  if (url.origin === OWN) return text.startsWith('/') ? url.href.slice(OWN.length) : undefined;
  const absolute = URL.canParse(text) && url.username === '' && url.password === '';
  return absolute && ['http:', 'https:'].includes(url.protocol) ? url.href : undefined;
}

/** Accepts an https image address only, like the content security policy. */
export function imageUrl(text: string | undefined): string | undefined {
  const url = webUrl(text);
  return url?.startsWith('https:') ? url : undefined;
}

/** Returns the first letter as people see it (a grapheme), shown in place of a missing picture. */
export function initial(name: string): string {
  const [first] = new Intl.Segmenter('en').segment(name.trim());
  return first?.segment.toLocaleUpperCase('en') ?? '?';
}

/** Tells whether a name needs smaller letters in a title, as the title's `data-length`. */
export function lengthOf(name: string): 'long' | 'usual' {
  return name.length > 30 ? 'long' : 'usual';
}

/** Prevents line breaks after hyphens within a word by U+2060, for large letters in a narrow column. */
export function unbroken(text: string): string {
  return text.replace(/(?<=\p{L}-)(?=\p{L})/gu, '\u2060');
}

/** Tells an age in words: `a moment ago`, `5 minutes ago`, `3 days ago`; rounded down. */
export function agoInWords(seconds: number): string {
  if (seconds < 60) return 'a moment ago';
  const [unit, size] = seconds < 3600 ? ['minute', 60] : seconds < 86_400 ? ['hour', 3600] : ['day', 86_400];
  const count = Math.floor(seconds / size);
  return `${count} ${unit}${count === 1 ? '' : 's'} ago`;
}

/** Seconds in the words of a person who waits: `5 seconds`, `1 minute`, `2 hours`; rounded up. */
export function waitInWords(seconds: number): string {
  const [unit, size] = seconds < 60 ? ['second', 1] : seconds < 3600 ? ['minute', 60] : ['hour', 3600];
  const count = Math.max(1, Math.ceil(seconds / size));
  return `${count} ${unit}${count === 1 ? '' : 's'}`;
}

const dayAndTime = new Intl.DateTimeFormat('en-GB', { dateStyle: 'long', timeStyle: 'short', timeZone: 'UTC' });

/** Formats an instant in UTC: `1 December 2026 at 04:55 UTC`. @param at in milliseconds since the epoch */
export function timeInWords(at: number): string {
  return `${dayAndTime.format(at)} UTC`;
}

/** Formats an instant for programs (HTML, valid global date and time string). */
export function machineTime(at: number): string {
  return new Date(at).toISOString();
}

/** The first match counts, because most browsers also claim to be older ones. */
const BROWSERS: readonly [RegExp, string][] = [
  [/\bEdg(?:e|A|iOS)?\//, 'Edge'],
  [/\b(?:OPR|Opera|OPiOS)\//, 'Opera'],
  [/\bSamsungBrowser\//, 'Samsung Internet'],
  [/\b(?:Firefox|FxiOS)\//, 'Firefox'],
  [/\b(?:Chrome|Chromium|CriOS)\//, 'Chrome'],
  [/\bVersion\/.*\bSafari\//, 'Safari'],
];

/** Most characters of a `User-Agent` to read. */
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
 * Describes a browser as its owner would, such as `Firefox on Linux` (RFC 9110 §10.1.5). Only fixed words are stored,
 * whatever the header contains.
 */
export function browserInWords(userAgent: string): string | undefined {
  // Real browsers send less, and the cost of a regular expression grows with the square of the length.
  const said = userAgent.slice(0, LONGEST);
  const named = (list: typeof BROWSERS) => list.find(([pattern]) => pattern.test(said))?.[1];
  const [browser, system] = [named(BROWSERS), named(SYSTEMS)];
  if (system === undefined) return browser;
  return `${browser ?? 'A browser'} on ${system}`;
}
