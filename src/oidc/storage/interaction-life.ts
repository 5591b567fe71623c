import { Provider, type AdapterPayload } from 'oidc-provider';
import type { Clock } from '../../lib/clock.ts';
import type { Key, Store, Stored } from '../../storage/store.ts';
import { update } from '../../storage/update.ts';
import { UNOPENED, type PendingRequests, type Spent } from './pending-requests.ts';

/** Member of the prompt's details that holds the subject of the request's ID token hint. */
export const HINTED = 'hinted';

/** Member of an interaction's record that holds the bytes counted for it. */
const SPENT = 'latchkey_spent';

interface InteractionLifeDependencies {
  grants: Store;
  clock: Clock;
  pending: PendingRequests;
}

/**
 * Counts a new interaction. If nobody is signed in, it expires after ten minutes, unless its page is opened. @throws
 * TooManyPending
 */
export async function admitInteraction(
  { pending }: InteractionLifeDependencies,
  payload: AdapterPayload,
  ttl: number | undefined,
): Promise<{ payload: AdapterPayload; ttl: number | undefined }> {
  const kept = withoutHint(payload);
  const spent = await pending.admit('sign-in', kept);
  const isKnown = kept.session?.accountId !== undefined;
  return {
    payload: { ...kept, ...(spent && { [SPENT]: spent }) },
    ttl: isKnown ? ttl : Math.min(ttl ?? UNOPENED, UNOPENED),
  };
}

/**
 * Extends an interaction to its full life once its page is opened, unless too many have been opened. If several
 * requests open it at once, only the one whose write succeeds counts it.
 */
export async function prolong<T>(
  { grants, clock, pending }: InteractionLifeDependencies,
  key: Key<T>,
  { value, version, expiresAt = Infinity }: Stored<T>,
  payload: AdapterPayload,
): Promise<void> {
  const end = (payload.exp ?? 0) * 1000;
  if (expiresAt >= end - 60_000) return;
  const until = (time: number) => ({ ttl: Math.max(1, (time - clock.now()) / 1000) });
  if (!(await grants.replace(key, value, version, until(end))) || (await pending.mayStay(payload))) return;
  await update(grants, key, await grants.get(key), (now) => now, until(expiresAt));
}

/** Copies the counted bytes into the new payload, because the engine rewrites a record without them. */
export function keepCount(payload: AdapterPayload, before: AdapterPayload): AdapterPayload {
  return { ...payload, [SPENT]: before[SPENT] };
}

/**
 * Uncounts an interaction that ended with a sign-in. An interaction that an existing session completes stays counted,
 * because it requires no password and leaves a record.
 */
export async function settle(
  { pending }: InteractionLifeDependencies,
  { result, [SPENT]: spent }: AdapterPayload,
): Promise<void> {
  if (result?.login !== undefined && spent !== undefined) await pending.finish('sign-in', spent as Spent);
}

/**
 * Replaces the ID token hint, which the engine has verified, by its subject. Later steps only compare the subject with
 * the person who signs in.
 */
function withoutHint(payload: AdapterPayload): AdapterPayload {
  const { params = {}, prompt } = payload;
  const hint = Provider.ctx?.oidc.entities.IdTokenHint;
  if (hint === undefined || prompt === undefined) return payload;
  const { id_token_hint: _verified, ...kept } = params;
  const { id_token_hint: _copy, ...details } = prompt.details;
  return { ...payload, params: kept, prompt: { ...prompt, details: { ...details, [HINTED]: hint.payload['sub'] } } };
}
