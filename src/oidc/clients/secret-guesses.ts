import { hash } from 'node:crypto';
import { decodeJwt, decodeProtectedHeader } from 'jose';
import type { Context, Middleware } from 'koa';
import { errors, Provider, type Client, type KoaContextWithOIDC } from 'oidc-provider';
import { isClientSecret, type Clients } from '../../clients/clients.ts';
import { openRisingDelay, type DelayRule } from '../../credentials/rising-delay.ts';
import type { Announce } from '../../events/events.ts';
import { addressBlock } from '../../http/address-block.ts';
import { clientAddress } from '../../http/request-facts.ts';
import type { Clock } from '../../lib/clock.ts';
import { sha256 } from '../../lib/hash.ts';
import type { Store } from '../../storage/store.ts';
import { policyOf } from './client-metadata.ts';

/**
 * Allows about 300 guesses a day at the secret of one client from one address block. Each block has its own count, so
 * that a stranger elsewhere cannot lock a client out.
 */
const RULE: DelayRule = { name: 'client-secret', free: 10, longest: 300, memory: 86_400 };

/**
 * Number of names under which unknown clients are counted, for each address block. The store must not remember every
 * invented client id. A single name would be slowed sooner than a real client, and so reveal that a client does not
 * exist.
 */
const UNKNOWN_CLIENT_NAMES = 8;

export interface SecretGuesses {
  /**
   * Compares a secret with the client's stored hashes, and counts a wrong one (RFC 6749 §2.3.1). @throws TooManySecrets
   */
  compare(client: Client, secret: string): Promise<boolean>;
  /** Counts wrong credentials that the engine refuses without comparing a secret. */
  readonly countRefused: Middleware;
  /**
   * Refuses even valid credentials while guesses from the caller's address block are slowed. For a right secret in
   * the engine's requests, `compare` does this. For a signature by the secret, and outside the engine, call `admit`.
   * @throws TooManySecrets
   */
  admit(context: Context, client: string): Promise<void>;
}

interface SecretGuessesDependencies {
  clients: Pick<Clients, 'find'>;
  grants: Store;
  clock: Clock;
  announce: Announce;
}

/** Replaces the engine's comparison, which needs the secret itself. This server stores only its hash. */
export function compareSecret(_engine: unknown, { secretGuesses }: { secretGuesses: Pick<SecretGuesses, 'compare'> }) {
  return function compareClientSecret(this: Client, secret: string): Promise<boolean> {
    return secretGuesses.compare(this, secret);
  };
}

/** Error after too many wrong secrets for one client from one address block. */
class TooManySecrets extends errors.OIDCProviderError {
  override error_description = 'too many wrong client secrets came from this address; try again later';
  constructor(context: Context, seconds: number) {
    super(429, 'temporarily_unavailable');
    context.set('Retry-After', String(seconds));
  }
}

/**
 * Slows the guessing of client secrets. This node remembers which address blocks sent wrong secrets, and asks the store
 * only about those. So a right secret from elsewhere costs no call to the store. A repeated wrong secret does not count
 * again, so an instance with an outdated secret does not slow the others.
 */
export function openSecretGuesses(dependencies: SecretGuessesDependencies): SecretGuesses {
  const { clients, grants, clock, announce } = dependencies;
  const delay = openRisingDelay({ grants, clock, rule: RULE });
  const suspects = openSuspects({ clock, memory: RULE.memory });
  const counted = new WeakSet<KoaContextWithOIDC>();
  const subjectOf = (context: Context, client: string) => `${client}\n${addressBlock(clientAddress(context))}`;

  async function admit(context: Context, client: string): Promise<void> {
    if (suspects.areNone()) return;
    const subject = subjectOf(context, client);
    if (!suspects.isSuspect(subject)) return;
    await suspects.counted(subject);
    const seconds = await delay.remaining(subject);
    if (seconds > 0) throw new TooManySecrets(context, seconds);
  }

  /** @returns the seconds to wait after too many wrong secrets */
  async function count(context: KoaContextWithOIDC, { client, secret }: Presented): Promise<number> {
    counted.add(context);
    const subject = subjectOf(context, client);
    const known = suspects.pausedFor(subject);
    if (known > 0) return known;
    if (!suspects.isNew(subject, sha256(secret))) return delay.remaining(subject);
    const seconds = await suspects.count(
      subject,
      async () => (await delay.remaining(subject)) || delay.reserve(subject),
    );
    if (seconds > 0) announce({ type: 'client.guessing-delayed', client, address: clientAddress(context), seconds });
    return seconds;
  }

  return {
    admit,
    async compare(client, secret) {
      const hashes = policyOf(client).secretHashes;
      const isRight = hashes.map((hash) => isClientSecret(hash, secret)).includes(true);
      const context = Provider.ctx;
      if (context === undefined) return isRight;
      if (isRight) await admit(context, client.clientId);
      const seconds = isRight ? 0 : await count(context, { client: client.clientId, secret });
      if (seconds > 0) throw new TooManySecrets(context, seconds);
      return isRight;
    },
    async countRefused(context, next) {
      await next();
      const answered = context as KoaContextWithOIDC;
      const presented = counted.has(answered) ? undefined : refusedSecret(answered);
      const seconds = presented === undefined ? 0 : await count(answered, await withCountedName(clients, presented));
      if (seconds > 0) answerTooMany(answered, seconds);
    },
  };
}

interface Presented {
  client: string;
  /** The secret, or the JWT that it signed. */
  secret: string;
}

/** Replaces the id of an unknown client by one of a few names, which contain a space, as no client id does. */
async function withCountedName(clients: Pick<Clients, 'find'>, { client, secret }: Presented): Promise<Presented> {
  if ((await clients.find(client)) !== undefined) return { client, secret };
  const [first = 0] = hash('sha256', client, 'buffer');
  return { client: `<nobody ${first % UNKNOWN_CLIENT_NAMES}>`, secret: `${client}\n${secret}` };
}

/**
 * Returns the credentials of a request that the engine refused. The client may be unknown, or may authenticate in
 * another way; the answer is the same.
 */
function refusedSecret(context: KoaContextWithOIDC): Presented | undefined {
  const { status, body } = context;
  const isRefused = status === 401 && typeof body === 'object' && body !== null && 'error' in body;
  return isRefused && body.error === 'invalid_client' ? presentedSecret(context) : undefined;
}

function answerTooMany(context: KoaContextWithOIDC, seconds: number): void {
  const { status, error, error_description } = new TooManySecrets(context, seconds);
  context.remove('WWW-Authenticate');
  context.status = status;
  context.body = { error, error_description };
}

/**
 * Returns the client id and the secret of a request. Undefined if there is none, as when a private key signed the
 * assertion.
 */
function presentedSecret(context: KoaContextWithOIDC): Presented | undefined {
  const { oidc, headers } = context as Pick<KoaContextWithOIDC, 'headers'> & Partial<KoaContextWithOIDC>;
  // Outside the engine's endpoints, a secret is accepted in the header alone.
  const { client_id: id, client_secret: secret, client_assertion: assertion } = oidc?.params ?? {};
  if (typeof secret === 'string' && typeof id === 'string') return { client: id, secret };
  if (typeof assertion === 'string') return signedBySecret(assertion);
  const [, basic = ''] = /^basic (.+)$/i.exec(headers.authorization ?? '') ?? [];
  const [client = '', ...rest] = Buffer.from(basic, 'base64').toString().split(':');
  return client === '' ? undefined : { client: decoded(client), secret: rest.join(':') };
}

function signedBySecret(assertion: string): Presented | undefined {
  try {
    const { alg = '' } = decodeProtectedHeader(assertion);
    const { sub } = decodeJwt(assertion);
    return alg.startsWith('HS') && sub !== undefined ? { client: sub, secret: assertion } : undefined;
  } catch {
    return undefined;
  }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    return text;
  }
}

/** Limits on the remembered pairs of client and address block, and on the wrong secrets of each. */
const MAX_SUSPECTS = 10_000;
const MAX_SECRETS = 32;

interface Suspect {
  since: number;
  /** End of the pause that the store has set, in milliseconds since the epoch. */
  pausedUntil: number;
  /** Hashes of wrong secrets that were counted. */
  secrets: Set<string>;
  counting: Promise<unknown>;
}

/**
 * Pairs of client and address block from which wrong secrets came. Right secrets from elsewhere thus cost no call to
 * the store.
 */
interface Suspects {
  /**
   * Tells whether wrong secrets may have come from a pair. True for every pair while the store may count one that this
   * node has forgotten.
   */
  isSuspect(subject: string): boolean;
  /** Tells whether no pair at all is suspect. */
  areNone(): boolean;
  /** Settles once every earlier wrong secret of the pair has been counted. */
  counted(subject: string): Promise<void>;
  /** Returns the remaining seconds of the pause; 0 without one. */
  pausedFor(subject: string): number;
  /** Records a wrong secret. @returns whether it differs from the recorded ones */
  isNew(subject: string, secretHash: string): boolean;
  /** Counts a wrong secret in the store, and remembers the resulting pause. @returns the seconds to wait */
  count(subject: string, countInStore: () => Promise<number>): Promise<number>;
}

/** @param memory seconds for which the store keeps a count */
function openSuspects({ clock, memory }: { clock: Clock; memory: number }): Suspects {
  const suspects = new Map<string, Suspect>();
  /** Time until which the store may slow a pair that this node has forgotten, in milliseconds since the epoch. */
  let incompleteUntil = 0;

  function find(subject: string): Suspect | undefined {
    const found = suspects.get(subject);
    if (found === undefined || clock.now() - found.since < memory * 1000) return found;
    suspects.delete(subject);
    return undefined;
  }

  function add(subject: string): Suspect {
    const suspect = { since: clock.now(), pausedUntil: 0, secrets: new Set<string>(), counting: Promise.resolve() };
    const [oldest] = suspects.keys();
    if (suspects.size >= MAX_SUSPECTS && oldest !== undefined) {
      incompleteUntil = (suspects.get(oldest)?.since ?? 0) + memory * 1000;
      suspects.delete(oldest);
    }
    suspects.set(subject, suspect);
    return suspect;
  }

  return {
    isSuspect: (subject) => find(subject) !== undefined || clock.now() < incompleteUntil,
    areNone: () => suspects.size === 0 && clock.now() >= incompleteUntil,
    async counted(subject) {
      await find(subject)?.counting;
    },
    pausedFor: (subject) => Math.max(0, Math.ceil(((find(subject)?.pausedUntil ?? 0) - clock.now()) / 1000)),
    isNew(subject, secretHash) {
      const { secrets } = find(subject) ?? add(subject);
      if (secrets.has(secretHash)) return false;
      const [oldest] = secrets;
      if (secrets.size >= MAX_SECRETS && oldest !== undefined) secrets.delete(oldest);
      secrets.add(secretHash);
      return true;
    },
    async count(subject, countInStore) {
      const suspect = find(subject) ?? add(subject);
      const answer = countInStore();
      suspect.counting = Promise.allSettled([suspect.counting, answer]);
      const seconds = await answer;
      if (seconds > 0) suspect.pausedUntil = clock.now() + seconds * 1000;
      return seconds;
    },
  };
}
