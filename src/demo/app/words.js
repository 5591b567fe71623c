const UNITS = [
  ['day', 86_400],
  ['hour', 3_600],
  ['minute', 60],
  ['second', 1],
];

const relative = new Intl.RelativeTimeFormat('en', { numeric: 'always' });
const clockTime = new Intl.DateTimeFormat('en-GB', { timeStyle: 'medium' });

/** Formats an instant, given in seconds since the Unix epoch: “in 14 minutes, at 10:32:05”. */
export function timeInWords(moment, now) {
  const seconds = moment - now;
  const [unit, size] = UNITS.find(([, length]) => Math.abs(seconds) >= length) ?? ['second', 1];
  const distance = Math.abs(seconds) < 1 ? 'just now' : relative.format(Math.trunc(seconds / size), unit);
  return `${distance}, at ${clockTime.format(moment * 1000)}`;
}

/** Decodes the header and claims of a JWT without verifying it. The page only shows them. */
export function decodeToken(token) {
  const [header, claims] = token.split('.').slice(0, 2).map(decodePart);
  return { header, claims };
}

function decodePart(part) {
  const bytes = Uint8Array.from(atob(part.replaceAll('-', '+').replaceAll('_', '/')), (char) => char.charCodeAt(0));
  return JSON.parse(new TextDecoder().decode(bytes));
}
