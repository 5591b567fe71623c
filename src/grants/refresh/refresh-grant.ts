import { setImmediate as nextTurn } from 'node:timers/promises';
import { errors, type Adapter, type KoaContextWithOIDC } from 'oidc-provider';
import type { Clock } from '../../lib/clock.ts';
import type { Random } from '../../lib/random.ts';
import { policyOf } from '../../oidc/clients/client-metadata.ts';
import { rotatesRefreshTokens } from '../../oidc/clients/profile-rules.ts';
import { endFamily, senderKey, type GrantHandler } from '../../oidc/internals.ts';
import { leaveOutUngranted } from '../../oidc/requests/requested-scopes.ts';
import type { Store } from '../../storage/store.ts';
import { KeptAnswers, type NoteGiven, askedFor, judge } from './kept-answers.ts';
import { ChecksPassed, hasUse, nameOf, RefreshTokens, type FoundToken, type UsedToken } from './refresh-tokens.ts';

interface RefreshGrant {
  /** The engine's adapter for refresh tokens. */
  readonly adapter: Adapter;
  /** Refreshes by the engine's own grant. */
  handle(context: KoaContextWithOIDC, engine: GrantHandler): Promise<void>;
}

interface Parts {
  grants: Store;
  clock: Clock;
  random: Random;
  /** Seconds for which a sent answer may be repeated; 0 for never. */
  window: number;
}

/**
 * Refresh that neither loses nor doubles tokens. The engine makes a response while the token still counts as unused,
 * and the response is kept. One compare-and-swap of the token's record then decides, and only the chosen response is
 * sent. So a crash or refusal on the way uses up nothing, and concurrent requests all get the same response.
 */
export function refreshGrant(parts: Parts): RefreshGrant {
  const tokens = new RefreshTokens(parts.grants, parts.clock, parts.random);
  const answers = new KeptAnswers(parts.grants, parts.random);
  const refresh = new Refresh(tokens, answers, parts.window);
  return {
    adapter: tokens.adapter,
    handle: (context, engine) => refresh.handle(context, engine),
  };
}

interface Request {
  readonly context: KoaContextWithOIDC;
  readonly engine: GrantHandler;
  /** The key whose possession the sender proves. */
  readonly sender: string | undefined;
  /** Seconds for which the answer is kept once it was sent. */
  readonly window: number;
}

class Refresh {
  readonly #tokens: RefreshTokens;
  readonly #answers: KeptAnswers;
  readonly #window: number;

  constructor(tokens: RefreshTokens, answers: KeptAnswers, window: number) {
    this.#tokens = tokens;
    this.#answers = answers;
    this.#window = window;
  }

  async handle(context: KoaContextWithOIDC, engine: GrantHandler): Promise<void> {
    const { client, params } = context.oidc;
    const value = params?.['refresh_token'];
    // The engine reports a missing parameter.
    if (typeof value !== 'string' || client === undefined) return engine(context);
    const token = await this.#tokens.find(value);
    if (token === undefined) throw new errors.InvalidGrant('refresh token not found');
    leaveOutUngranted(context, token.payload.scope?.split(' ') ?? []);
    // A token that is not rotated needs no kept answer.
    if (!rotatesRefreshTokens(client)) return engine(context);
    const window = policyOf(client).refreshWindow ?? this.#window;
    const request = { context, engine, sender: await senderKey(context), window };
    this.#tokens.present(context, token);
    if (hasUse(token)) await this.#repeat(request, token);
    else await this.#answer(request, token);
  }

  async #repeat(request: Request, token: UsedToken): Promise<void> {
    const { context, engine, window } = request;
    const { body, noteGiven } = await this.#kept(request, token);
    await engine(context).catch(unlessChecksPassed);
    context.body = body;
    onceGiven(context, () => noteGiven(window));
  }

  async #answer(request: Request, token: FoundToken): Promise<void> {
    const { context, engine, sender, window } = request;
    await engine(context).catch(async (error: unknown) => {
      await discard(context);
      throw error;
    });
    const successor = successorOf(context);
    const answer = { body: context.body, sender, asked: askedFor(context) };
    // Kept for the token's whole life, because nobody knows how long an outage lasts.
    const life = this.#tokens.lifeOf(token) ?? window;
    const noteGiven = window > 0 ? await this.#answers.keep(token.value, successor, answer, life) : undefined;
    const isUsed = await this.#tokens.use(token, successor);
    const now = isUsed ? undefined : await this.#tokens.find(token.value);
    // The store's client repeats a write after a broken connection, and then meets its own first attempt.
    if (isUsed || now?.use?.successor === successor) {
      onceGiven(context, () => noteGiven?.(window));
      return;
    }
    await Promise.all([discard(context), this.#answers.forget(successor)]);
    if (now === undefined || !hasUse(now)) throw new errors.InvalidGrant('refresh token revoked meanwhile');
    const kept = await this.#kept(request, now, { wasUnderWay: true });
    context.body = kept.body;
    onceGiven(context, () => kept.noteGiven(window));
  }

  /** @throws InvalidGrant if this is no legitimate repeat */
  async #kept(
    request: Request,
    token: UsedToken,
    { wasUnderWay = false } = {},
  ): Promise<{ body: unknown; noteGiven: NoteGiven }> {
    const judgement = await judge(request, token, { tokens: this.#tokens, answers: this.#answers });
    if (judgement.is === 'repeat') return judgement;
    if (judgement.is === 'other') throw new errors.InvalidGrant('refreshed a moment ago, for something else');
    // A node may stall while the app gives up on it, asks another node and continues with that answer.
    const isLeftBehind = wasUnderWay || (await hasHungUp(request.context));
    const isHarmless = judgement.is === 'late' && isLeftBehind && request.window > 0;
    if (!isHarmless) await endFamily(request.context, token.payload.grantId);
    throw new errors.InvalidGrant(`refresh token came again ${judgement.reason}`);
  }
}

/**
 * Records that an answer was sent, once all of it has left over an intact connection. Without the record it stays
 * longer.
 */
function onceGiven({ res }: KoaContextWithOIDC, note: () => Promise<void> | undefined): void {
  res.once('finish', () => {
    if (res.statusCode === 200) note()?.catch(() => undefined);
  });
}

/**
 * Tells whether the client has disconnected. After an event-loop stall its FIN is still unread behind the request, so
 * two ticks pass first.
 */
async function hasHungUp({ response }: KoaContextWithOIDC): Promise<boolean> {
  for (let turns = 0; turns < 2; turns += 1) await nextTurn();
  return !response.writable;
}

function successorOf({ oidc: { entities } }: KoaContextWithOIDC): string {
  const { RefreshToken: successor } = entities;
  if (successor === undefined) throw new Error('the engine did not rotate the refresh token');
  return nameOf(successor.jti);
}

/** Deletes the tokens of a response that is not sent. If a deletion fails, nobody knows the token. */
async function discard({ oidc: { entities } }: KoaContextWithOIDC): Promise<void> {
  if (entities.RotatedRefreshToken === undefined) return;
  await Promise.allSettled([entities.RefreshToken?.destroy(), entities.AccessToken?.destroy()]);
}

function unlessChecksPassed(error: unknown): void {
  if (!(error instanceof ChecksPassed)) throw error;
}
