import type { Context } from 'koa';
import { errors, Provider, type AdapterPayload, type KoaContextWithOIDC } from 'oidc-provider';
import type { Config } from '../../config/schema.ts';
import { clientAddress } from '../../http/client-address.ts';
import { deviceToken } from '../../http/device-cookie.ts';
import type { Clock } from '../../lib/clock.ts';
import { blockShares } from '../../limits/block-shares.ts';
import { openBudget, type Budget, type Share } from '../../limits/budget.ts';
import type { Store } from '../../storage/store.ts';
import { policyOf } from '../clients/client-metadata.ts';
import { EXPIRED_QUESTION_LIFE, QUESTION_LIFE } from '../lifetimes.ts';

/** Seconds that a stranger's request waits until a page of it has been opened. */
export const UNOPENED = 600;
const HOUR = 3600;

/**
 * Seconds in which the bytes of each kind are counted, as long as its records live. Each kind has a budget of its own,
 * so that a flood of one leaves room for the others.
 */
const SPANS = {
  'sign-in': UNOPENED,
  pushed: 60,
  device: QUESTION_LIFE + EXPIRED_QUESTION_LIFE,
  session: UNOPENED,
  proof: 720,
};
export type PendingKind = keyof typeof SPANS;

/** Bytes of a record beside its value: keys, indexes, and what Redis adds, which is more than SQLite does. */
const OVERHEAD = 800;
/** Bytes of a proof that was used: a key, and what Redis adds. */
const PROOF = 300;
/** A client that the operator registered sends for all of its people, from one address. */
const CLIENT_SHARE = 32;
/** A browser in which somebody has signed in may have this part of an address's bytes. */
const BROWSER_PART = 8;
/**
 * All such browsers at one address may have this many times its bytes: whoever has an account can make many of them.
 */
const BROWSERS_SHARE = 4;

/** Too many requests are pending, from one address or in all. The response is 429 with `Retry-After`. */
export class TooManyPending extends errors.OIDCProviderError {
  override allow_redirect = false;
  constructor() {
    super(429, 'temporarily_unavailable');
    this.error_description = 'too many requests wait already; try again in a few minutes';
  }
}

/** The bytes that were counted for a request, and to whom. */
export interface Spent {
  readonly subjects: readonly string[];
  readonly bytes: number;
}

/** Bounds what strangers can have the server remember for a while. */
export interface PendingRequests {
  /** Counts what the current request is about to store. Counts nothing outside of the engine. @throws TooManyPending */
  admit(kind: PendingKind, payload: AdapterPayload): Promise<Spent | undefined>;
  /** Counts a used proof once for each span in which it is remembered. @throws TooManyPending */
  admitProof(seconds: number): Promise<void>;
  /** Tells, without asking the store, that a request of a browser in which nobody has signed in would be refused. */
  isSpent(kind: PendingKind, context: Context): boolean;
  /** Uncounts a request that ended with a sign-in, where it was counted: that person is known by now. */
  finish(kind: PendingKind, spent: Spent): Promise<void>;
  /** @returns whether a request whose page was opened may wait for longer */
  mayStay(payload: AdapterPayload): Promise<boolean>;
}

interface Parts {
  grants: Store;
  clock: Clock;
  limits: Config['pending_requests'];
  knownBrowser: (token: string | undefined) => string | undefined;
}

export function pendingRequests(parts: Parts): PendingRequests {
  const { grants, clock } = parts;
  const { strangersAt, sharesOf } = openShares(parts);
  const budget = (kind: PendingKind): Budget =>
    openBudget({ grants, clock, name: `pending ${kind}`, span: SPANS[kind] });
  const pending: Record<PendingKind, Budget> = {
    'sign-in': budget('sign-in'),
    pushed: budget('pushed'),
    device: budget('device'),
    session: budget('session'),
    proof: budget('proof'),
  };
  const opened = openBudget({ grants, clock, name: 'opened', span: HOUR });

  async function spend(kind: PendingKind, bytes: number): Promise<Spent | undefined> {
    const context = Provider.ctx;
    if (context === undefined) return undefined;
    for (const shares of sharesOf(context)) {
      if (await pending[kind].spend(shares, bytes)) return { subjects: shares.map(({ subject }) => subject), bytes };
    }
    context.set('Retry-After', retryAfter(kind));
    // The engine would try to save the session once more, after it has answered.
    if (kind === 'session') Object.assign(context.oidc.session ?? {}, { touched: false });
    throw new TooManyPending();
  }

  return {
    admit: (kind, payload) => spend(kind, sizeOf(payload)),
    async admitProof(seconds) {
      await spend('proof', PROOF * Math.ceil(seconds / SPANS.proof));
    },
    isSpent(kind, context) {
      if (parts.knownBrowser(deviceToken(context)) !== undefined) return false;
      return pending[kind].isSpent(strangersAt(clientAddress(context)));
    },
    finish: (kind, { subjects, bytes }) => pending[kind].giveBack(subjects, bytes),
    mayStay: (payload) => opened.spend([everybody(parts.limits)], sizeOf(payload)),
  };
}

function everybody({ kib_total: kib }: Config['pending_requests']): Share {
  return { subject: 'all', most: kib * 1024, isCommon: true };
}

/** From what share whoever sends a request spends. */
function openShares({ limits, knownBrowser }: Pick<Parts, 'limits' | 'knownBrowser'>) {
  const all = everybody(limits);
  const each = limits.kib_per_address * 1024;
  const knownBrowsers: Share = { ...all, subject: 'known browsers' };
  const strangersAt = (address: string): Share[] => [...blockShares(address, each), all];

  /**
   * Whoever is known spends from a share of their own, which no stranger can use up. A browser that finds nothing left
   * there spends as a stranger: others can make browsers known, too.
   */
  function sharesOf(context: KoaContextWithOIDC): Share[][] {
    const { session, client, entities } = context.oidc;
    const account = session?.accountId ?? entities.AccessToken?.accountId;
    if (account !== undefined) return [[{ subject: `account ${account}`, most: each }]];
    if (client !== undefined && isAuthenticated(context))
      return [[{ subject: `client ${client.clientId}`, most: each * CLIENT_SHARE }]];
    const address = clientAddress(context);
    const strangers = strangersAt(address);
    const browser = knownBrowser(deviceToken(context));
    if (browser === undefined) return [strangers];
    const here = blockShares(address, each * BROWSERS_SHARE).map((share) => ({
      ...share,
      subject: `known browsers of ${share.subject}`,
    }));
    return [[{ subject: `browser ${browser}`, most: each / BROWSER_PART }, ...here, knownBrowsers], strangers];
  }

  return { strangersAt, sharesOf };
}

/** Half of the span in which a kind is counted. */
export function retryAfter(kind: PendingKind): string {
  return String(SPANS[kind] / 2);
}

/** An operator knows such a client; one that registered itself is a stranger, whatever its secret. */
function isAuthenticated({ oidc: { client, route } }: KoaContextWithOIDC): boolean {
  if (client === undefined || client.clientAuthMethod === 'none' || policyOf(client).isSelfDescribed) return false;
  return route === 'pushed_authorization_request' || route === 'device_authorization';
}

/** The bytes that a payload takes in the store: sealed, in base64. */
function sizeOf(payload: AdapterPayload): number {
  return Math.ceil(Buffer.byteLength(JSON.stringify(payload)) * (4 / 3)) + OVERHEAD;
}
