import { setImmediate as nextTurn } from 'node:timers/promises';
import { errors, type Adapter, type KoaContextWithOIDC } from 'oidc-provider';
import type { Clock } from '../../lib/clock.ts';
import type { Random } from '../../lib/random.ts';
import { policyOf } from '../../oidc/clients/client-metadata.ts';
import { rotatesRefreshTokens } from '../../oidc/clients/profile-rules.ts';
import { endFamily, senderKey, type GrantHandler } from '../../oidc/internals.ts';
import { leaveOutUngranted } from '../../oidc/requests/requested-scopes.ts';
import type { Store } from '../../storage/store.ts';
import { KeptAnswers, type NoteGiven } from './kept-answers.ts';
import { ChecksPassed, hasUse, nameOf, RefreshTokens, type FoundToken, type UsedToken } from './refresh-tokens.ts';
import { askedFor, judge } from './repeats.ts';

export interface RefreshGrant {
  /** The engine's storage of refresh tokens. */
  readonly adapter: Adapter;
  /** Refreshes with the help of the engine's own grant. */
  handle(context: KoaContextWithOIDC, engine: GrantHandler): Promise<void>;
}

interface Parts {
  grants: Store;
  clock: Clock;
  random: Random;
  /** For how long an answer that was given out may be fetched again, in seconds; 0 for never. */
  window: number;
}

/**
 * Refresh that is never lost and never doubled. The engine makes an answer while the token still counts as unused; the
 * answer is kept; then one swap of the token's record decides, and only what it decided for is given out. So a crash or a
 * refusal on the way uses nothing up, and of any number of requests at once all give the same answer.
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
  /** The key that it proves to hold. */
  readonly sender: string | undefined;
  /** For how long its answer is kept once it was given out, in seconds. */
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
    // The engine says what is missing.
    if (typeof value !== 'string' || client === undefined) return engine(context);
    const token = await this.#tokens.find(value);
    if (token === undefined) throw new errors.InvalidGrant('refresh token not found');
    leaveOutUngranted(context, token.payload.scope?.split(' ') ?? []);
    // A token that stays has no answer to lose and no second life to come to.
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
    // It is kept for as long as the token: of an outage that begins now nobody knows how long it lasts.
    const life = this.#tokens.lifeOf(token) ?? window;
    const noteGiven = window > 0 ? await this.#answers.keep(token.value, successor, answer, life) : undefined;
    const isUsed = await this.#tokens.use(token, successor);
    const now = isUsed ? undefined : await this.#tokens.find(token.value);
    // The store's client asks again where the connection broke, and then meets its own first attempt.
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

  /** @throws InvalidGrant where this is no repeat */
  async #kept(
    request: Request,
    token: UsedToken,
    { wasUnderWay = false } = {},
  ): Promise<{ body: unknown; noteGiven: NoteGiven }> {
    const judgement = await judge(request, token, { tokens: this.#tokens, answers: this.#answers });
    if (judgement.is === 'repeat') return judgement;
    if (judgement.is === 'other') throw new errors.InvalidGrant('refreshed a moment ago, for something else');
    // A node may stand still or be busy, while the app gives up on it, asks another one and goes on from there.
    const isLeftBehind = wasUnderWay || (await hasHungUp(request.context));
    const isHarmless = judgement.is === 'late' && isLeftBehind && request.window > 0;
    if (!isHarmless) await endFamily(request.context, token.payload.grantId);
    throw new errors.InvalidGrant(`refresh token came again ${judgement.reason}`);
  }
}

/** Notes that an answer was given, once all of it has left over a connection that stood. Without the note it stays longer. */
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

/** Deletes the tokens of a response that is not sent. If one cannot be deleted now, nobody knows its value. */
async function discard({ oidc: { entities } }: KoaContextWithOIDC): Promise<void> {
  if (entities.RotatedRefreshToken === undefined) return;
  await Promise.allSettled([entities.RefreshToken?.destroy(), entities.AccessToken?.destroy()]);
}

function unlessChecksPassed(error: unknown): void {
  if (!(error instanceof ChecksPassed)) throw error;
}
