import type { Fault } from '../problems.ts';
import type { AccountConfig, ClientConfig } from '../schema.ts';

/** The demo's password, the same for both accounts. Because it is published, no configured server accepts it. */
export const DEMO_PASSWORD = 'latchkey-demo';

/** The email addresses of the demo's accounts. */
export const DEMO_EMAILS = ['alice@example.com', 'admin@example.com'] as const;

/** Least entropy of a client secret, in bits (RFC 6749 §10.10). */
export const LEAST_BITS = 128;

/**
 * Shortest sequence that counts as one character because it repeats earlier text, or because its characters count up or
 * down.
 */
const STRETCH = 8;

/**
 * Estimates an upper bound for the entropy of a secret in bits: the number of characters that do not follow from
 * earlier ones, times the bits per character of the apparent alphabet. The bound exposes short, monotonous and
 * repetitive secrets, but not a phrase from a book, because a text does not reveal how it was chosen.
 */
export function possibleBits(secret: string): number {
  // Ignores the separators of UUIDs and fingerprints in hexadecimal text.
  const bare = /^[0-9a-f:-]+$/i.test(secret) ? secret.replace(/[:-]/g, '') : withoutPadding(secret);
  return Math.floor(independentCharacters(bare) * Math.log2(alphabetOf(bare)));
}

/** Removes the padding of base64. */
function withoutPadding(text: string): string {
  let end = text.length;
  while (text[end - 1] === '=') end -= 1;
  return text.slice(0, end);
}

function alphabetOf(text: string): number {
  if (/^\d*$/.test(text)) return 10;
  if (/^([0-9a-f]*|[0-9A-F]*)$/.test(text)) return 16;
  const others = new Set(text.replace(/[A-Za-z0-9]/g, '')).size;
  const [lower, upper, digits] = [/[a-z]/, /[A-Z]/, /\d/].map((kind) => kind.test(text));
  // Random base64 may contain no digits or signs by chance.
  const letters = lower === true && upper === true ? 62 : 26 + (digits === true ? 10 : 0);
  return letters + (others >= 3 ? 33 : letters === 62 ? Math.max(others, 2) : others);
}

function independentCharacters(text: string): number {
  let count = 0;
  for (let at = 0; at < text.length;) {
    const length = Math.max(repeatedFrom(text, at), countedFrom(text, at));
    count += 1;
    at += length >= STRETCH ? length : 1;
  }
  return count;
}

/** Returns the length of the longest sequence from this position that also begins earlier. The two may overlap. */
function repeatedFrom(text: string, at: number): number {
  let longest = 0;
  for (let from = 0; from < at; from += 1) {
    let length = 0;
    while (at + length < text.length && text[from + length] === text[at + length]) length += 1;
    longest = Math.max(longest, length);
  }
  return longest;
}

/**
 * Returns the length of the run from this position in which each character goes up or down by one, or stays the same.
 */
function countedFrom(text: string, at: number): number {
  const step = text.charCodeAt(at + 1) - text.charCodeAt(at);
  if (!(Math.abs(step) <= 1)) return 1;
  let length = 2;
  while (text.charCodeAt(at + length) - text.charCodeAt(at + length - 1) === step) length += 1;
  return length;
}

/**
 * Finds client secrets that an attacker could guess (RFC 6749 §10.10). Paths start at the root of the file. The demo
 * skips this check, because its secrets are published.
 */
export function weakSecrets(clients: readonly (ClientConfig | undefined)[]): Fault[] {
  return clients.flatMap((client, index) =>
    (['secret', 'previous_secret'] as const).flatMap((key) => {
      const secret = client?.[key];
      const bits = secret?.isRead === true ? possibleBits(secret.reveal()) : LEAST_BITS;
      if (bits >= LEAST_BITS) return [];
      const fix = 'generate one with latchkey secret new';
      return [
        {
          path: ['clients', index, key],
          message: `can be guessed: it has at most ${bits} bits of entropy instead of ${LEAST_BITS}; ${fix}`,
        },
      ];
    }),
  );
}

/** Refuses the demo's password outside the demo. */
export function publishedPasswords(accounts: readonly (AccountConfig | undefined)[]): Fault[] {
  return accounts.flatMap((account, index) => {
    const password = account?.password;
    const isPublished =
      password?.isRead === true && password.reveal().normalize('NFKC').toLowerCase() === DEMO_PASSWORD;
    const message = 'is the password of the demo, which everybody knows; choose another';
    return isPublished ? [{ path: ['accounts', index, 'password'], message }] : [];
  });
}
