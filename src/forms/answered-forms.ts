import type { Context } from 'koa';
import { browserFor, browserHash, matchingBrowser } from '../http/browser-cookies.ts';
import { hmacSha256 } from '../lib/hash.ts';
import type { Random } from '../lib/random.ts';
import { openRecord, sealedKeyspace, sealRecord, type Sealed, type Store } from '../storage/store.ts';
import { untilDefined, KeyedQueue } from './keyed-queue.ts';

/** A form that a browser has sent. */
export interface SentForm {
  /** The secret with which the page showed the form. It identifies the form. */
  readonly token: string;
  readonly fields: Iterable<readonly [string, string]>;
}

/** Returns an HMAC of the form's fields under its token. It reveals nothing without the token. */
export function formDigest({ token, fields }: SentForm): string {
  return hmacSha256(token, JSON.stringify([...fields].toSorted()));
}

/** A form's record. The sealed answer is absent while a request is handling the form. */
interface AnsweredForm extends Partial<Sealed<KeptAnswer>> {
  /** The digest of the form. */
  form: string;
  /** SHA-256 of the sending browser's cookie. */
  browser: string;
}

const formKey = sealedKeyspace<AnsweredForm>('answered-form');

/** Seconds after which a form without an answer counts as abandoned. */
const UNDER_WAY = 60;
/** Seconds for which an answer is repeated: enough for a second click on a slow line. */
export const ANSWER_KEPT = 30;

/** Handles each form once. A second click, even at the same moment on another node, gets the answer to the first. */
export class AnsweredForms {
  readonly #grants: Store;
  readonly #random: Random;
  readonly #queue = new KeyedQueue();

  constructor(grants: Store, random: Random) {
    this.#grants = grants;
    this.#random = random;
  }

  /**
   * Handles a form unless it was already answered. Only a few copies of the form may wait for its answer. @param
   * isFinal tells whether an answer completes the form; a page that shows the form again does not
   */
  async once(
    context: Context,
    form: SentForm,
    handle: () => Promise<void>,
    isFinal = ({ status }: Context): boolean => status < 400,
  ): Promise<void> {
    await this.#queue.run(formKey(form.token), async () => {
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

  /**
   * Claims the form, or repeats its stored answer. @returns true if this request must handle the form, false if it got
   * the answer, undefined if it must try again
   */
  async #turn(context: Context, form: SentForm): Promise<boolean | undefined> {
    if (await this.begin(context, form)) return true;
    return (await this.#again(context, form)) ? false : undefined;
  }

  /**
   * Claims the form for this request. @returns whether this request now handles the form; false if another one does or
   * did
   */
  async begin(context: Context, form: SentForm): Promise<boolean> {
    const begun = { form: formDigest(form), browser: browserHash(browserFor(context, this.#random)) };
    if (await this.#grants.create(formKey(form.token), begun, { ttl: UNDER_WAY })) return true;
    const stored = await this.#grants.get(formKey(form.token));
    // A person who goes back and changes the fields wants the new ones handled.
    const isOther = stored !== undefined && isAnswered(stored.value) && stored.value.form !== begun.form;
    return isOther && this.#grants.replace(formKey(form.token), begun, stored.version, { ttl: UNDER_WAY });
  }

  async keep(context: Context, form: SentForm): Promise<void> {
    const browser = browserHash(browserFor(context, this.#random));
    const record = sealRecord(form.token, answerOf(context), this.#random);
    await this.#grants.set(formKey(form.token), { ...record, form: formDigest(form), browser }, { ttl: ANSWER_KEPT });
  }

  async release(form: SentForm): Promise<void> {
    await this.#grants.delete(formKey(form.token));
  }

  /**
   * Repeats the answer to the same form from the same browser, and waits for it if another request is handling the
   * form. @returns false if there is no such answer
   */
  repeat(context: Context, form: SentForm): Promise<boolean> {
    return this.#queue.run(formKey(form.token), () =>
      untilDefined(async () => {
        const stored = await this.#grants.get(formKey(form.token));
        const isUnderWay = stored !== undefined && !isAnswered(stored.value);
        return isUnderWay ? undefined : this.#again(context, form);
      }),
    );
  }

  async #again(context: Context, form: SentForm): Promise<boolean> {
    const value = (await this.#grants.get(formKey(form.token)))?.value;
    if (value === undefined || !isAnswered(value) || value.form !== formDigest(form)) return false;
    if (matchingBrowser(context, value.browser) === undefined) return false;
    sendKeptAnswer(context, openRecord(form.token, value));
    return true;
  }
}

function isAnswered(form: AnsweredForm): form is AnsweredForm & Sealed<KeptAnswer> {
  return form.sealed !== undefined;
}

/** A complete answer to a browser, including cookies, which can be sent again. */
export interface KeptAnswer {
  status: number;
  headers: Record<string, string | string[]>;
  body: string;
}

/** Headers of one request alone, which are not repeated. */
const OWN = ['x-request-id'];

export function answerOf({ status, res, body }: Context): KeptAnswer {
  const headers: KeptAnswer['headers'] = {};
  for (const [name, value = ''] of Object.entries(res.getHeaders()))
    if (!OWN.includes(name)) headers[name] = Array.isArray(value) ? value : String(value);
  return { status, headers, body: typeof body === 'string' ? body : JSON.stringify(body ?? '') };
}

/** Replaces this request's answer by a stored one. */
export function sendKeptAnswer(context: Context, { status, headers, body }: KeptAnswer): void {
  for (const name of context.res.getHeaderNames()) if (!OWN.includes(name)) context.res.removeHeader(name);
  context.status = status;
  context.body = body;
  for (const [name, value] of Object.entries(headers)) context.res.setHeader(name, value);
}
