const OWN = 'http://own.invalid';

/**
 * Accepts an address that is safe to link to: http or https without credentials, or a path on this server.
 * @returns the normalised address, or `undefined` for any other text (`javascript:`, `data:`, `//host`)
 */
export function webUrl(text: string | undefined): string | undefined {
  const url = text === undefined ? null : URL.parse(text, OWN);
  if (url === null || text === undefined) return undefined;
  if (url.origin === OWN) return text.startsWith('/') ? url.href.slice(OWN.length) : undefined;
  const absolute = URL.canParse(text) && url.username === '' && url.password === '';
  return absolute && ['http:', 'https:'].includes(url.protocol) ? url.href : undefined;
}

/** Accepts the address of a picture only if it is an https URL. @returns the normalised address */
export function imageUrl(text: string | undefined): string | undefined {
  const url = webUrl(text);
  return url?.startsWith('https:') ? url : undefined;
}

/** Returns the first letter of a name (a whole grapheme) in upper case, which stands in for a missing picture. */
export function initial(name: string): string {
  const [first] = new Intl.Segmenter('en').segment(name.trim());
  return first?.segment.toLocaleUpperCase('en') ?? '?';
}

/** Returns the `data-length` of a title that contains this name: a long name is shown in smaller letters. */
export function lengthOf(name: string): 'long' | 'usual' {
  return name.length > 30 ? 'long' : 'usual';
}

/** Inserts U+2060 after each hyphen within a word, so that large letters in a narrow column do not break there. */
export function unbroken(text: string): string {
  return text.replace(/(?<=\p{L}-)(?=\p{L})/gu, '\u2060');
}

/** Formats an age, rounded down: `a moment ago`, `5 minutes ago`, `3 days ago`. */
export function agoInWords(seconds: number): string {
  if (seconds < 60) return 'a moment ago';
  const [unit, size] = seconds < 3600 ? ['minute', 60] : seconds < 86_400 ? ['hour', 3600] : ['day', 86_400];
  const count = Math.floor(seconds / size);
  return `${count} ${unit}${count === 1 ? '' : 's'} ago`;
}

/** Formats a waiting time, rounded up: `5 seconds`, `1 minute`, `2 hours`. */
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

/** Formats an instant for a `datetime` attribute (HTML, valid global date and time string). */
export function machineTime(at: number): string {
  return new Date(at).toISOString();
}

/** Browser names by `User-Agent`. The first match counts, because most browsers also name older browsers. */
const BROWSERS: readonly [RegExp, string][] = [
  [/\bEdg(?:e|A|iOS)?\//, 'Edge'],
  [/\b(?:OPR|Opera|OPiOS)\//, 'Opera'],
  [/\bSamsungBrowser\//, 'Samsung Internet'],
  [/\b(?:Firefox|FxiOS)\//, 'Firefox'],
  [/\b(?:Chrome|Chromium|CriOS)\//, 'Chrome'],
  [/\bVersion\/.*\bSafari\//, 'Safari'],
];

/** Maximum number of characters of a `User-Agent` that are read. */
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
 * Describes a browser as its owner would, such as `Firefox on Linux` (RFC 9110 §10.1.5). The description consists of
 * fixed words only, whatever the header contains.
 */
export function browserInWords(userAgent: string): string | undefined {
  // Real browsers send less. The time that these patterns take grows with the square of the length.
  const said = userAgent.slice(0, LONGEST);
  const named = (list: typeof BROWSERS) => list.find(([pattern]) => pattern.test(said))?.[1];
  const [browser, system] = [named(BROWSERS), named(SYSTEMS)];
  if (system === undefined) return browser;
  return `${browser ?? 'A browser'} on ${system}`;
}
