import type { Context } from 'koa';
import { browserFor, browserHash, matchingBrowser } from '../http/browser-cookie.ts';
import { hmacSha256, sha256 } from '../lib/hash.ts';
import type { Random } from '../lib/random.ts';
import { seal, unseal } from '../lib/seal.ts';
import { keyspace, type Key, type Store } from '../storage/store.ts';
import { answerOf, giveAnswer, type KeptAnswer } from './kept-answer.ts';
import { untilDefined } from './patience.ts';
import { KeyedQueue } from './keyed-queue.ts';

/** A form that a browser has sent. */
export interface SentForm {
  /** The secret that the form was shown with; it tells the form from every other. */
  readonly token: string;
  readonly fields: Iterable<readonly [string, string]>;
}

/** HMAC of the form's fields under its token, so that it reveals nothing without the token. */
export function formDigest({ token, fields }: SentForm): string {
  return hmacSha256(token, JSON.stringify([...fields].toSorted()));
}

interface AnsweredForm {
  /** The fields of the form. */
  form: string;
  /** SHA-256 of the cookie of the browser that has sent it. */
  browser: string;
  /** The answer, once there is one. */
  sealed?: string;
}

const formKey = keyspace<AnsweredForm>('answered-form');

/** Seconds that a form may be under way. */
const UNDER_WAY = 60;
/** Seconds for which an answer can be had again: long enough for a second click on a slow line. */
export const ANSWER_KEPT = 30;

/**
 * Forms that are answered once: a second click, also at the same moment on another node, gets the first one's answer.
 */
export class AnsweredForms {
  readonly #grants: Store;
  readonly #random: Random;
  readonly #queue = new KeyedQueue();

  constructor(grants: Store, random: Random) {
    this.#grants = grants;
    this.#random = random;
  }

  /**
   * Handles a form unless it has been answered. Few copies of it may wait for the first one's answer.
   * @param isFinal whether this answer ends it; a page that shows the form again does not
   */
  async once(
    context: Context,
    form: SentForm,
    handle: () => Promise<void>,
    isFinal = ({ status }: Context): boolean => status < 400,
  ): Promise<void> {
    await this.#queue.run(keyOf(form), async () => {
      if (!(await untilDefined(() => this.#turn(context, form)))) return;
      try {
        await handle();
      } catch (error) {
        await this.release(form);
        throw error;
      }
      if (isFinal(context)) await this.keep(context, form);
      else await this.release(form);
    });
  }

  /** @returns true once it is this request's to handle, false once it has been given the answer */
  async #turn(context: Context, form: SentForm): Promise<boolean | undefined> {
    if (await this.begin(context, form)) return true;
    return (await this.#again(context, form)) ? false : undefined;
  }

  /** @returns whether nobody else is handling the form, or has answered it */
  async begin(context: Context, form: SentForm): Promise<boolean> {
    const begun = { form: formDigest(form), browser: browserHash(browserFor(context, this.#random)) };
    if (await this.#grants.create(keyOf(form), begun, { ttl: UNDER_WAY })) return true;
    const stored = await this.#grants.get(keyOf(form));
    // A person who goes back and fills it in otherwise wants that done.
    const isOther = stored?.value.sealed !== undefined && stored.value.form !== begun.form;
    return isOther && this.#grants.replace(keyOf(form), begun, stored.version, { ttl: UNDER_WAY });
  }

  async keep(context: Context, form: SentForm): Promise<void> {
    const browser = browserHash(browserFor(context, this.#random));
    const sealed = seal(form.token, JSON.stringify(answerOf(context)), this.#random);
    await this.#grants.set(keyOf(form), { form: formDigest(form), browser, sealed }, { ttl: ANSWER_KEPT });
  }

  async release(form: SentForm): Promise<void> {
    await this.#grants.delete(keyOf(form));
  }

  /** Gives the answer that the same form from the same browser has, or gets now. @returns false where there is none */
  repeat(context: Context, form: SentForm): Promise<boolean> {
    return this.#queue.run(keyOf(form), () =>
      untilDefined(async () => {
        const stored = await this.#grants.get(keyOf(form));
        const isUnderWay = stored !== undefined && stored.value.sealed === undefined;
        return isUnderWay ? undefined : this.#again(context, form);
      }),
    );
  }

  async #again(context: Context, form: SentForm): Promise<boolean> {
    const value = (await this.#grants.get(keyOf(form)))?.value;
    if (value?.sealed === undefined || value.form !== formDigest(form)) return false;
    if (matchingBrowser(context, value.browser) === undefined) return false;
    giveAnswer(context, JSON.parse(unseal(form.token, value.sealed)) as KeptAnswer);
    return true;
  }
}

function keyOf({ token }: SentForm): Key<AnsweredForm> {
  return formKey(sha256(token));
}
