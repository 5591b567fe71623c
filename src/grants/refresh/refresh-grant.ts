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
  /** Refreshes tokens by the engine's own grant. */
  handle(context: KoaContextWithOIDC, engine: GrantHandler): Promise<void>;
}

interface RefreshGrantDependencies {
  grants: Store;
  clock: Clock;
  random: Random;
  /** Seconds for which a sent answer may be repeated; 0 means never. */
  window: number;
}

/**
 * Opens the refresh grant, which neither loses nor duplicates tokens. The engine makes a response while the token still
 * counts as unused, and the server stores that response. A compare-and-swap of the token's record then decides which
 * response is sent. So a crash or refusal before that uses up nothing, and concurrent requests get the same response.
 */
export function refreshGrant(dependencies: RefreshGrantDependencies): RefreshGrant {
  const tokens = new RefreshTokens(dependencies.grants, dependencies.clock, dependencies.random);
  const answers = new KeptAnswers(dependencies.grants, dependencies.random);
  const refresh = new Refresh(tokens, answers, dependencies.window);
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
  /** Seconds for which the answer is kept after it was sent. */
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
    // An answer that was not sent is kept for the token's whole life, because nobody knows how long an outage lasts.
    const life = this.#tokens.lifeOf(token) ?? window;
    const noteGiven = window > 0 ? await this.#answers.keep(token.value, successor, answer, life) : undefined;
    const isUsed = await this.#tokens.use(token, successor);
    const now = isUsed ? undefined : await this.#tokens.find(token.value);
    // After a broken connection, the store's client repeats the write. The second write then fails, because the first
    // one succeeded.
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

  /** Returns the kept answer for a used token. @throws InvalidGrant if this is not a legitimate repeat */
  async #kept(
    request: Request,
    token: UsedToken,
    { wasUnderWay = false } = {},
  ): Promise<{ body: unknown; noteGiven: NoteGiven }> {
    const judgement = await judge(request, token, { tokens: this.#tokens, answers: this.#answers });
    if (judgement.is === 'repeat') return judgement;
    if (judgement.is === 'other') throw new errors.InvalidGrant('refreshed a moment ago, for something else');
    // The app may have given up on a stalled node, asked another node, and continued with that node's answer.
    const isLeftBehind = wasUnderWay || (await hasHungUp(request.context));
    const isHarmless = judgement.is === 'late' && isLeftBehind && request.window > 0;
    if (!isHarmless) await endFamily(request.context, token.payload.grantId);
    throw new errors.InvalidGrant(`refresh token came again ${judgement.reason}`);
  }
}

/**
 * Records that an answer was sent, once all of it has left over an intact connection. Without this record, the answer
 * is kept for longer.
 */
function onceGiven({ res }: KoaContextWithOIDC, note: () => Promise<void> | undefined): void {
  res.once('finish', () => {
    if (res.statusCode === 200) note()?.catch(() => undefined);
  });
}

/**
 * Tells whether the client has disconnected. After a stall of the event loop, the client's FIN is still unread behind
 * the request, so the function waits for two ticks.
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

/**
 * Deletes the tokens of a response that will not be sent. A failed deletion does no harm, because nobody knows the
 * tokens.
 */
async function discard({ oidc: { entities } }: KoaContextWithOIDC): Promise<void> {
  if (entities.RotatedRefreshToken === undefined) return;
  await Promise.allSettled([entities.RefreshToken?.destroy(), entities.AccessToken?.destroy()]);
}

function unlessChecksPassed(error: unknown): void {
  if (!(error instanceof ChecksPassed)) throw error;
}
