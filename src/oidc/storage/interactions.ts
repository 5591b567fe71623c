import type { Context } from 'koa';
import {
  errors,
  Provider,
  type Adapter,
  type AdapterPayload,
  type Interaction,
  type InteractionResults,
  type KoaContextWithOIDC,
} from 'oidc-provider';
import { ANSWER_KEPT, answerOf, sendKeptAnswer, type KeptAnswer } from '../../forms/answered-forms.ts';
import { untilDefined, KeyedQueue } from '../../forms/keyed-queue.ts';
import { browserFor, browserHash, matchingBrowser } from '../../http/browser-cookies.ts';
import { epochSeconds, type Clock } from '../../lib/clock.ts';
import { sha256 } from '../../lib/hash.ts';
import type { Random } from '../../lib/random.ts';
import {
  keyspace,
  openRecord,
  sealedKeyspace,
  sealRecord,
  type Key,
  type Sealed,
  type Store,
  type Stored,
} from '../../storage/store.ts';
import { update } from '../../storage/update.ts';
import { unsupported } from './adapter-verbs.ts';
import { lifetime, remainingLife } from '../../sessions/session-records.ts';
import { answerSecret, findEnd, rememberEnd, type InteractionEnd } from './interaction-ends.ts';
import { admitInteraction, keepCount, prolong, settle } from './interaction-life.ts';
import type { PendingRequests } from './pending-requests.ts';

/**
 * The record of an interaction. First it holds the engine's payload, sealed under the uid; later the answer, sealed
 * under the uid and the browser's cookie.
 */
interface InteractionRecord extends Sealed<AdapterPayload | { returnTo: string; answer: KeptAnswer }> {
  /** SHA-256 of the cookie of the browser that began the interaction. */
  browser?: string;
  /** Digest of the form that finished the interaction. */
  form?: string;
  isAnswered?: true;
}

/** The parts of an interaction that pages read. */
export type InteractionDetails = Pick<
  Interaction,
  'uid' | 'params' | 'prompt' | 'session' | 'grantId' | 'returnTo' | 'result' | 'lastSubmission'
>;

/** An interaction that the request's browser began. */
export interface FoundInteraction {
  readonly details: InteractionDetails;
  /** The URL at which the engine resumes the interaction. */
  readonly returnTo: string;
  /** Digest of the form that finished the interaction, if any. */
  readonly form: string | undefined;
  /** True once the engine has resumed the interaction. Its outcome is then final. */
  readonly isOver: boolean;
  readonly browser: string;
  readonly payload: AdapterPayload;
  readonly stored: Stored<InteractionRecord>;
}

const interactionKey = sealedKeyspace<InteractionRecord>('interaction');
const stepKey = keyspace<{ by: string }>('interaction-step');

/** Seconds after which an unfinished step no longer blocks others. */
const STEP = 30;
/**
 * Milliseconds within which a node must store the answer to an interaction that it consumed. After that, the
 * interaction counts as abandoned.
 */
const RESUMING = 10_000;

interface InteractionContext {
  grants: Store;
  clock: Clock;
  random: Random;
  pending: PendingRequests;
  /** Called if an interaction could not be uncounted. */
  reportFailure: (error: unknown) => void;
}

/**
 * Authorization requests that wait for a person. Only the browser that began an interaction finds it. The engine
 * consumes each interaction once. Its browser can get the answer again for a while, because a second click makes the
 * browser discard the first answer.
 */
export class Interactions {
  /** The engine's adapter. It finds only the interaction that {@link Interactions.present} set for the request. */
  readonly adapter: Adapter;
  readonly #grants: Store;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #presented = new WeakMap<object, FoundInteraction>();
  readonly #used = new WeakSet<object>();
  readonly #queue = new KeyedQueue();

  readonly #life: { grants: Store; clock: Clock; pending: PendingRequests };

  readonly #reportFailure: (error: unknown) => void;

  constructor({ random, reportFailure, ...life }: InteractionContext) {
    this.#reportFailure = reportFailure;
    this.#grants = life.grants;
    this.#clock = life.clock;
    this.#random = random;
    this.#life = life;
    this.adapter = {
      ...unsupported,
      upsert: (uid, payload, ttl) => this.#write(uid, payload, ttl),
      find: (uid) => Promise.resolve(this.#presentedTo(Provider.ctx, uid)?.payload),
      destroy: (uid) => this.#use(uid),
    };
  }

  /** @returns undefined if there is none, or if another browser began it */
  async find(context: Context, uid: string): Promise<FoundInteraction | undefined> {
    const stored = await this.#grants.get(interactionKey(uid));
    const browser = stored && matchingBrowser(context, stored.value.browser);
    if (stored === undefined || browser === undefined) return undefined;
    const { form, isAnswered } = stored.value;
    const secret = isAnswered ? answerSecret(uid, browser) : uid;
    const payload = openRecord(secret, stored.value) as AdapterPayload & { returnTo: string };
    if (payload.exp !== undefined && payload.exp <= epochSeconds(this.#clock)) return undefined;
    const details = { ...payload, uid } as unknown as InteractionDetails;
    const isOver = isAnswered === true || stored.consumedAt !== undefined;
    if (!isOver) await prolong(this.#life, interactionKey(uid), stored, payload);
    return { details, returnTo: payload.returnTo, form, isOver, browser, payload, stored };
  }

  /** Runs a step of an interaction while no node runs another step of it. @throws Problem `busy` or `sent-too-often` */
  alone<T>(uid: string, step: () => Promise<T>): Promise<T> {
    return this.#queue.run(uid, async () => {
      const key = stepKey(sha256(uid));
      const by = this.#random.bytes(9).toString('base64url');
      await untilDefined(async () => (await this.#grants.create(key, { by }, { ttl: STEP })) || undefined);
      try {
        return await step();
      } finally {
        await this.#endStep(key, by);
      }
    });
  }

  /** Ends a step, but not a later step that began because this one took too long. */
  async #endStep(key: Key<{ by: string }>, by: string): Promise<void> {
    const stored = await this.#grants.get(key);
    if (stored?.value.by === by) await this.#grants.replace(key, stored.value, stored.version, { ttl: 0 });
  }

  /**
   * Stores a page's result for the engine. It replaces earlier results until the engine resumes the interaction. @param
   * form digest of the form that led to the result @returns false if the interaction is over
   */
  async finish(found: FoundInteraction, result: InteractionResults, form: string): Promise<boolean> {
    const { details, payload, stored } = found;
    const merged = 'error' in result ? result : { ...payload.lastSubmission, ...result };
    const record = sealRecord(details.uid, { ...payload, result: merged }, this.#random);
    const change = (now: InteractionRecord): InteractionRecord | undefined =>
      now.isAnswered ? undefined : { ...now, ...record, form };
    const life = remainingLife(stored, this.#clock);
    const now = await update(this.#grants, interactionKey(details.uid), stored, change, life);
    return now !== undefined && !now.isAnswered;
  }

  /** Makes the engine find this interaction in this request. */
  present(context: Context, found: FoundInteraction): void {
    this.#presented.set(context, found);
  }

  /** Tells whether the engine has consumed the interaction in this request. */
  wasUsedIn(context: Context): boolean {
    return this.#used.has(context);
  }

  /** Stores the answer of an interaction. After a server error, it deletes the interaction instead. */
  async keepAnswer(context: Context, { details, returnTo, browser, stored, form }: FoundInteraction): Promise<void> {
    const { uid } = details;
    const answer = answerOf(context);
    if (answer.status >= 500) return this.forget(uid);
    const sealed = sealRecord(answerSecret(uid, browser), { returnTo, answer }, this.#random);
    // An unconditional write would clear the mark of use, and a slower request could use the interaction again.
    const change = (now: InteractionRecord): InteractionRecord => ({
      ...now,
      ...sealed,
      isAnswered: true,
      ...(form !== undefined && { form }),
    });
    await update(this.#grants, interactionKey(uid), stored, change, { ttl: ANSWER_KEPT });
    if (!isSignedIn(context)) return;
    await rememberEnd({ grants: this.#grants, random: this.#random }, details, { browser, answer });
  }

  /** Returns the destination to which an interaction of this browser has led. */
  endOf(context: Context, uid: string): Promise<InteractionEnd | undefined> {
    return findEnd(this.#grants, context, uid);
  }

  /** Deletes an interaction that the engine consumed without a useful answer. */
  async forget(uid: string): Promise<void> {
    await this.#grants.delete(interactionKey(uid));
  }

  /**
   * Repeats the answer of an interaction, and waits for it if another request is still resuming the interaction.
   * @returns false if there will be no answer
   */
  async repeatAnswer(context: Context, uid: string): Promise<boolean> {
    const found = await untilDefined(async () => {
      const now = await this.find(context, uid);
      if (now === undefined || this.#isAbandoned(now)) return false;
      return now.stored.value.isAnswered && now;
    });
    if (found === false) return false;
    sendKeptAnswer(context, (found.payload as unknown as { answer: KeptAnswer }).answer);
    return true;
  }

  /** Tells whether the node that consumed the interaction died before it answered, so that no answer will follow. */
  #isAbandoned({ stored: { value, consumedAt } }: FoundInteraction): boolean {
    const since = consumedAt === undefined ? 0 : this.#clock.now() - consumedAt;
    return value.isAnswered !== true && since > RESUMING;
  }

  #presentedTo(context: object | undefined, uid: string): FoundInteraction | undefined {
    const found = context && this.#presented.get(context);
    return found?.details.uid === uid ? found : undefined;
  }

  /**
   * Writes an interaction for the engine. A new one is bound to the browser that gets it; another write only changes
   * the existing record.
   */
  async #write(uid: string, payload: AdapterPayload, ttl: number | undefined): Promise<void> {
    const context = Provider.ctx;
    if (context === undefined) throw new Error('an interaction can only begin in a request');
    const found = this.#presentedTo(context, uid);
    if (found === undefined) {
      const admitted = await admitInteraction(this.#life, payload, ttl);
      const record = sealRecord(uid, admitted.payload, this.#random);
      const browser = browserHash(browserFor(context, this.#random, ttl));
      await this.#grants.create(interactionKey(uid), { ...record, browser }, lifetime(admitted.ttl));
      return;
    }
    const record = sealRecord(uid, keepCount(payload, found.payload), this.#random);
    await update(this.#grants, interactionKey(uid), found.stored, (now) => ({ ...now, ...record }), lifetime(ttl));
  }

  /** Consumes an interaction for the engine. Of several requests that resume it, only the first succeeds. */
  async #use(uid: string): Promise<void> {
    const context = Provider.ctx;
    const { use } = await this.#grants.consume(interactionKey(uid));
    if (use !== 'first' || context === undefined) throw new errors.SessionNotFound('the interaction has been resumed');
    this.#used.add(context);
    const found = this.#presentedTo(context, uid);
    // The interaction is already consumed, so a failure here must not withhold its answer. The count expires in any
    // case.
    if (found !== undefined) await settle(this.#life, found.payload).catch(this.#reportFailure);
  }
}

/** Tells whether somebody is signed in, for a request that the engine has handled. */
function isSignedIn(context: object): boolean {
  return (context as Partial<KoaContextWithOIDC>).oidc?.session?.accountId !== undefined;
}
