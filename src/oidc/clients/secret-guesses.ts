import { hash } from 'node:crypto';
import { decodeJwt, decodeProtectedHeader } from 'jose';
import type { Context, Middleware } from 'koa';
import { errors, Provider, type Client, type KoaContextWithOIDC } from 'oidc-provider';
import { isClientSecret } from '../../clients/client-secret.ts';
import type { Clients } from '../../clients/clients.ts';
import { openRisingDelay, type DelayRule } from '../../credentials/rising-delay.ts';
import type { Announce } from '../../events/events.ts';
import { addressBlock } from '../../http/address-block.ts';
import { clientAddress } from '../../http/client-address.ts';
import type { Clock } from '../../lib/clock.ts';
import { sha256 } from '../../lib/hash.ts';
import type { Store } from '../../storage/store.ts';
import { policyOf } from './client-metadata.ts';
import { openSuspects } from './suspects.ts';

/**
 * About 300 guesses in a day at one client from one address block. Each block is slowed on its own count, so a stranger
 * elsewhere cannot shut a client out.
 */
const RULE: DelayRule = { name: 'client-secret', free: 10, longest: 300, memory: 86_400 };

/**
 * Names under which the clients that do not exist are counted, for each address block: the store must not remember every
 * name that somebody makes up. Several, so that one made-up name is slowed as late as one that exists.
 */
const NOBODIES = 8;

export interface SecretGuesses {
  /**
   * Compares a secret in the engine's place, and counts a wrong one (RFC 6749 §2.3.1).
   * @throws TooManySecrets
   */
  compare(client: Client, secret: string): Promise<boolean>;
  /** Counts what the engine refuses without comparing it. */
  readonly countRefused: Middleware;
  /**
   * Refuses a right secret, and what one signs, while guesses from there are slowed: for where the engine does not
   * compare it.
   * @throws TooManySecrets
   */
  admit(context: Context, client: string): Promise<void>;
}

interface Parts {
  clients: Pick<Clients, 'find'>;
  grants: Store;
  clock: Clock;
  announce: Announce;
}

/** Takes the place of the engine's comparison, which needs the secret itself; here its hash is kept. */
export function compareSecret(_engine: unknown, { secretGuesses }: { secretGuesses: Pick<SecretGuesses, 'compare'> }) {
  return function compareClientSecret(this: Client, secret: string): Promise<boolean> {
    return secretGuesses.compare(this, secret);
  };
}

/** Too many wrong secrets of one client came from one address block. */
class TooManySecrets extends errors.OIDCProviderError {
  override error_description = 'too many wrong client secrets came from this address; try again later';
  constructor(context: Context, seconds: number) {
    super(429, 'temporarily_unavailable');
    context.set('Retry-After', String(seconds));
  }
}

/**
 * Slows the guessing of client secrets. Only a wrong secret costs a call to the store: this node keeps in mind where wrong
 * ones came from, and asks the store about right ones from there alone. A wrong secret that is sent again is no guess, so
 * an instance that was left behind at a change of secrets does not slow its siblings.
 */
export function openSecretGuesses(parts: Parts): SecretGuesses {
  const { clients, grants, clock, announce } = parts;
  const delay = openRisingDelay({ grants, clock, rule: RULE });
  const suspects = openSuspects({ clock, memory: RULE.memory });
  const counted = new WeakSet<KoaContextWithOIDC>();
  const subjectOf = (context: Context, client: string) => `${client}\n${addressBlock(clientAddress(context))}`;

  async function admit(context: Context, client: string): Promise<void> {
    const subject = subjectOf(context, client);
    if (!suspects.mayBe(subject)) return;
    await suspects.counted(subject);
    const seconds = await delay.remaining(subject);
    if (seconds > 0) throw new TooManySecrets(context, seconds);
  }

  /** @returns the seconds to wait, once there were too many */
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
      const seconds = presented === undefined ? 0 : await count(answered, await nameable(clients, presented));
      if (seconds > 0) answerTooMany(answered, seconds);
    },
  };
}

interface Presented {
  client: string;
  /** The secret, or what was signed with it. */
  secret: string;
}

/** Counts all clients that do not exist under a few names with a blank, which no identifier has. */
async function nameable(clients: Pick<Clients, 'find'>, { client, secret }: Presented): Promise<Presented> {
  if ((await clients.find(client)) !== undefined) return { client, secret };
  const [first = 0] = hash('sha256', client, 'buffer');
  return { client: `<nobody ${first % NOBODIES}>`, secret: `${client}\n${secret}` };
}

/** Of a client that does not exist, or that proves itself in another way: it is answered alike. */
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

/** The secret that a request holds; one that is signed with a private key holds none. */
function presentedSecret(context: KoaContextWithOIDC): Presented | undefined {
  const { oidc, headers } = context as Pick<KoaContextWithOIDC, 'headers'> & Partial<KoaContextWithOIDC>;
  // Outside the engine's own endpoints a secret comes in the header alone.
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
