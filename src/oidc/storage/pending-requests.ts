import type { Context, Middleware } from 'koa';
import { errors, Provider, type AdapterPayload, type KoaContextWithOIDC } from 'oidc-provider';
import type { Config } from '../../config/schema.ts';
import { clientAddress } from '../../http/request-facts.ts';
import { deviceToken } from '../../http/browser-cookies.ts';
import type { Clock } from '../../lib/clock.ts';
import { blockShares, openBudget, type Budget, type Share } from '../../limits/budget.ts';
import type { Store } from '../../storage/store.ts';
import { policyOf } from '../clients/client-metadata.ts';
import { EXPIRED_QUESTION_LIFE, QUESTION_LIFE } from '../lifetimes.ts';
import { Problem } from '../../http/problems.ts';
import { routes, sessionCookie } from '../endpoints.ts';

/** Seconds for which a stranger's request is kept if its page is not opened. */
export const UNOPENED = 600;
const HOUR = 3600;

/**
 * Seconds over which the server counts the bytes of each kind, equal to the life of its records. Each kind has its own
 * budget, so that a flood of one leaves room for the others.
 */
const SPANS = {
  'sign-in': UNOPENED,
  pushed: 60,
  device: QUESTION_LIFE + EXPIRED_QUESTION_LIFE,
  session: UNOPENED,
  proof: 720,
};
export type PendingKind = keyof typeof SPANS;

/** Bytes of a record beyond its value: keys, indexes and the overhead of Redis, which exceeds that of SQLite. */
const OVERHEAD = 800;
/** Bytes of a used proof: a key, and the overhead of Redis. */
const PROOF = 300;
/** Factor for a client that the operator registered, because it sends the requests of many people from one address. */
const CLIENT_SHARE = 32;
/** Divisor of an address's bytes, for a browser in which somebody has signed in. */
const BROWSER_PART = 8;
/** Factor for all such browsers at one address together, because anybody with an account can create many. */
const BROWSERS_SHARE = 4;

/** Thrown if too many requests are pending, from one address or in total. The response is 429 with `Retry-After`. */
export class TooManyPending extends errors.OIDCProviderError {
  override allow_redirect = false;
  constructor() {
    super(429, 'temporarily_unavailable');
    this.error_description = 'too many requests wait already; try again in a few minutes';
  }
}

/** The bytes counted for a request, and the shares that they were taken from. */
export interface Spent {
  readonly subjects: readonly string[];
  readonly bytes: number;
}

/** Limits the temporary data that strangers can make the server store. */
export interface PendingRequests {
  /**
   * Counts the current request's record before it is stored. Outside the engine's requests, it counts nothing. @throws
   * TooManyPending
   */
  admit(kind: PendingKind, payload: AdapterPayload): Promise<Spent | undefined>;
  /** Counts a used proof, once for each span in which the server remembers it. @throws TooManyPending */
  admitProof(seconds: number): Promise<void>;
  /**
   * Tells from this node's memory, without asking the store, whether such a request would be refused. Returns false for
   * a browser in which somebody has signed in.
   */
  isSpent(kind: PendingKind, context: Context): boolean;
  /** Uncounts a request that ended with a sign-in, because its person is now known. */
  finish(kind: PendingKind, spent: Spent): Promise<void>;
  /** Counts a request whose page was opened. @returns whether it may wait longer */
  mayStay(payload: AdapterPayload): Promise<boolean>;
}

interface PendingRequestsDependencies {
  grants: Store;
  clock: Clock;
  limits: Config['pending_requests'];
  knownBrowser: (token: string | undefined) => string | undefined;
}

export function pendingRequests(dependencies: PendingRequestsDependencies): PendingRequests {
  const { grants, clock } = dependencies;
  const { strangersAt, sharesOf } = openShares(dependencies);
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
    // Otherwise, the engine would try to save the session again after its answer.
    if (kind === 'session') Object.assign(context.oidc.session ?? {}, { touched: false });
    throw new TooManyPending();
  }

  return {
    admit: (kind, payload) => spend(kind, sizeOf(payload)),
    async admitProof(seconds) {
      await spend('proof', PROOF * Math.ceil(seconds / SPANS.proof));
    },
    isSpent(kind, context) {
      if (dependencies.knownBrowser(deviceToken(context)) !== undefined) return false;
      return pending[kind].isSpent(strangersAt(clientAddress(context)));
    },
    finish: (kind, { subjects, bytes }) => pending[kind].refund(subjects, bytes),
    mayStay: (payload) => opened.spend([everybody(dependencies.limits)], sizeOf(payload)),
  };
}

function everybody({ kib_total: kib }: Config['pending_requests']): Share {
  return { subject: 'all', most: kib * 1024, isCommon: true };
}

/** Determines the shares from which a sender spends. */
function openShares({ limits, knownBrowser }: Pick<PendingRequestsDependencies, 'limits' | 'knownBrowser'>) {
  const all = everybody(limits);
  const each = limits.kib_per_address * 1024;
  const knownBrowsers: Share = { ...all, subject: 'known browsers' };
  const strangersAt = (address: string): Share[] => [...blockShares(address, each), all];

  /**
   * Lists alternative sets of shares. A request spends from the first set that has enough left. A known sender spends
   * from a share that no stranger can use up. A known browser whose share is used up spends like a stranger, because
   * anybody with an account can make browsers known.
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

/** Returns half of the kind's span, in seconds. */
function retryAfter(kind: PendingKind): string {
  return String(SPANS[kind] / 2);
}

/**
 * Tells whether a client that the operator registered has authenticated in this request. A self-registered client
 * counts as a stranger, even with a secret.
 */
function isAuthenticated({ oidc: { client, route } }: KoaContextWithOIDC): boolean {
  if (client === undefined || client.clientAuthMethod === 'none' || policyOf(client).isSelfDescribed) return false;
  return route === 'pushed_authorization_request' || route === 'device_authorization';
}

/** Returns the size of a payload in the store: sealed, in base64. */
function sizeOf(payload: AdapterPayload): number {
  return Math.ceil(Buffer.byteLength(JSON.stringify(payload)) * (4 / 3)) + OVERHEAD;
}

const AUTHORIZATION = new RegExp(`^${routes.authorization}/?$`, 'i');

/**
 * Refuses a stranger's authorization request before the engine reads it, if this node remembers that the budget is used
 * up. A request that may end without a page passes, because it stores nothing.
 */
export function refuseSpentStrangers(pending: PendingRequests): Middleware {
  return (context, next) => {
    if (AUTHORIZATION.test(context.path) && isFromStranger(context) && pending.isSpent('sign-in', context))
      throw new Problem('too-many-waiting', 'the block of a stranger has nothing left', {
        'Retry-After': retryAfter('sign-in'),
      });
    return next();
  };
}

/**
 * Tells whether an authorization request is a stranger's and will show a page. A session cookie that this server signed
 * may belong to a signed-in person. A request object may contain `prompt=none`, which shows no page.
 */
function isFromStranger(context: Context): boolean {
  if (context.method !== 'GET' || context.cookies.get(sessionCookie(context), { signed: true }) !== undefined)
    return false;
  const { prompt, request, request_uri: uri } = context.query;
  return prompt !== 'none' && request === undefined && uri === undefined;
}
