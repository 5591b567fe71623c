import { SignerUnavailable } from '../external-signer.ts';
import { CryptokiError } from './cryptoki.ts';
import type { Session } from './session.ts';

/** Concurrent calls. Each takes one of the four threads of Node's pool, and one stays free for everything else. */
const AT_ONCE = 3;
const MOST_WAITING = 1000;
/** Longest wait of a caller in milliseconds, because an HSM across a network may never answer. */
const LONGEST_WAIT = 10_000;

/** A small pool of sessions, opened when needed and used by one caller at a time. */
export class Sessions {
  readonly #open: () => Promise<Session>;
  readonly #restart: () => Promise<void>;
  readonly #idle: Session[] = [];
  readonly #waiting: (() => void)[] = [];
  #running = 0;
  #restarting: Promise<void> | undefined;
  #isClosed = false;

  /** @param restart called if no session can be opened, while nothing else runs */
  constructor(open: () => Promise<Session>, restart: () => Promise<void>) {
    this.#open = open;
    this.#restart = restart;
  }

  /**
   * Does work in a session. If an old session fails, repeats the work in a new one, because the HSM may have dropped
   * the session. So the work must be repeatable. @throws SignerUnavailable if it fails or takes too long
   */
  async run<T>(work: (session: Session) => Promise<T>): Promise<T> {
    const overdue = Promise.withResolvers<never>();
    const timer = setTimeout(() => {
      overdue.reject(new SignerUnavailable(`the HSM did not answer within ${LONGEST_WAIT / 1000} seconds`));
    }, LONGEST_WAIT);
    try {
      return await Promise.race([this.#inTurn(work), overdue.promise]);
    } catch (error) {
      if (!(error instanceof CryptokiError)) throw error;
      throw new SignerUnavailable(`the HSM failed: ${error.message}`, { cause: error });
    } finally {
      clearTimeout(timer);
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all(this.#idle.splice(0).map(end));
  }

  async #inTurn<T>(work: (session: Session) => Promise<T>): Promise<T> {
    await this.#enter();
    try {
      const kept = this.#idle.pop();
      if (kept === undefined) return await this.#in(await this.#another(), work);
      try {
        return await this.#in(kept, work);
      } catch (error) {
        if (!(error instanceof CryptokiError)) throw error;
        return await this.#in(await this.#another(), work);
      }
    } finally {
      this.#leave();
    }
  }

  /** Many modules must be reinitialized after their HSM was unreachable. */
  async #another(): Promise<Session> {
    try {
      return await this.#open();
    } catch (error) {
      if (!(error instanceof CryptokiError) || this.#running > 1) throw error;
      this.#idle.length = 0;
      this.#restarting = this.#restart().finally(() => (this.#restarting = undefined));
      await this.#restarting;
      return await this.#open();
    }
  }

  async #in<T>(session: Session, work: (session: Session) => Promise<T>): Promise<T> {
    try {
      const result = await work(session);
      if (this.#isClosed) await end(session);
      else this.#idle.push(session);
      return result;
    } catch (error) {
      await end(session);
      throw error;
    }
  }

  async #enter(): Promise<void> {
    await this.#restarting;
    if (this.#running < AT_ONCE) {
      this.#running += 1;
      return;
    }
    if (this.#waiting.length >= MOST_WAITING) throw new SignerUnavailable('too much waits for the HSM');
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  // A slot goes straight to the next in line, so that no newcomer overtakes it.
  #leave(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#running -= 1;
    else next();
  }
}

/** Closes a session. A session that cannot be closed is already lost, so the error is ignored. */
async function end(session: Session): Promise<void> {
  await session.close().catch(() => undefined);
}
