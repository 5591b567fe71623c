import type { Context } from 'koa';
import type { Interaction } from 'oidc-provider';
import { ACCOUNT_CLIENT } from '../../config/sections/client-schema.ts';
import type { KeptAnswer } from '../../forms/answered-forms.ts';
import { browserHash, matchingBrowser } from '../../http/browser-cookies.ts';
import type { Random } from '../../lib/random.ts';
import { openRecord, sealedKeyspace, sealRecord, type Sealed, type Store } from '../../storage/store.ts';

/** The destination to which an interaction has led a signed-in person. */
export type InteractionEnd =
  | { readonly client: string; readonly redirectUri: string; readonly page?: string }
  /** Address of the interaction that came next. */
  | { readonly next: string };

/** The record of an interaction's end. It is sealed, because it may name the next interaction. */
interface EndRecord extends Sealed<InteractionEnd> {
  /** Hash of the cookie of the browser that began the interaction. */
  readonly browser: string;
}

const endKey = sealedKeyspace<EndRecord>('interaction-end');

/** Seconds for which an end is kept, so that the browser's back button still leads there. */
const END_KEPT = 3600;

/**
 * Stores the end of an interaction. Callers do this only for a signed-in person, so that strangers leave nothing
 * behind.
 */
export async function rememberEnd(
  { grants, random }: { grants: Store; random: Random },
  { uid, params }: Pick<Interaction, 'uid' | 'params'>,
  { browser, answer }: { browser: string; answer: KeptAnswer },
): Promise<void> {
  const end = endOf(params, answer);
  if (end === undefined) return;
  const record = sealRecord(answerSecret(uid, browser), end, random);
  await grants.set(endKey(uid), { ...record, browser: browserHash(browser) }, { ttl: END_KEPT });
}

/**
 * Reads an interaction's end from its answer. @returns undefined for a device, which has no redirect URI, and for an
 * error page, because a person who declines an unvetted app is not redirected to it (RFC 9700 §4.11.2)
 */
function endOf(params: Interaction['params'], { status, headers }: KeptAnswer): InteractionEnd | undefined {
  if (status >= 400) return undefined;
  const location = String(headers['location'] ?? '');
  if (location.startsWith('/interaction/')) return { next: location };
  const { client_id: client, redirect_uri: redirectUri, state } = params;
  if (typeof client !== 'string' || typeof redirectUri !== 'string') return undefined;
  const isOwnPage = client === ACCOUNT_CLIENT && typeof state === 'string';
  return { client, redirectUri, ...(isOwnPage && { page: state }) };
}

/** @returns undefined if no end is stored, or if another browser began the interaction */
export async function findEnd(grants: Store, context: Context, uid: string): Promise<InteractionEnd | undefined> {
  const end = (await grants.get(endKey(uid)))?.value;
  const browser = end && matchingBrowser(context, end.browser);
  return end === undefined || browser === undefined ? undefined : openRecord(answerSecret(uid, browser), end);
}

/**
 * Combines an interaction's uid and its browser's cookie into one secret. Neither alone may open the answer, which may
 * contain a session.
 */
export function answerSecret(uid: string, browser: string): string {
  return `${uid} ${browser}`;
}
