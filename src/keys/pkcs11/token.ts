import type { Secret } from '../../config/secret.ts';
import { SignerUnavailable } from '../external-signing.ts';
import { CKF, CKR, CKU_USER } from './constants.ts';
import { CryptokiError, type Cryptoki } from './cryptoki.ts';
import { ulong } from './memory.ts';
import { Session } from './sessions.ts';

export interface TokenOptions {
  /** The file of the module, for messages. */
  module: string;
  /** The token's label. */
  token: string;
  pin: Secret;
}

/**
 * Layout of CK_TOKEN_INFO, which has 208 bytes: a large enough buffer, the length of the label, the offset of the
 * flags.
 */
const TOKEN_INFO = { size: 256, label: 32, flags: 96 } as const;
const MOST_SLOTS = 256;

/** The HSM token that holds this server's keys. It is looked up by its label whenever a session opens. */
export class Token {
  readonly #cryptoki: Cryptoki;
  readonly #options: TokenOptions;
  #isPinProven = false;
  #refusal: SignerUnavailable | undefined;

  constructor(cryptoki: Cryptoki, options: TokenOptions) {
    this.#cryptoki = cryptoki;
    this.#options = options;
  }

  /** Opens a session. @throws SignerUnavailable if there is no such token, or it refuses the PIN */
  async open(): Promise<Session> {
    // A refused PIN is not tried again, because the token locks itself after a few wrong ones.
    if (this.#refusal !== undefined) throw this.#refusal;
    const { slot, flags } = await this.#find();
    if (!this.#isPinProven) this.#requireAttempts(flags);
    const handle = ulong(0);
    await this.#cryptoki.call('C_OpenSession', slot, CKF.SERIAL_SESSION | CKF.RW_SESSION, null, null, handle);
    const session = new Session(this.#cryptoki, handle.readBigUInt64LE());
    try {
      await this.#logIn(handle.readBigUInt64LE());
    } catch (error) {
      await session.close();
      throw error;
    }
    return session;
  }

  /** Tells whether the token has a mechanism for this use. @param use a flag of CKF */
  async can(mechanism: number, use: number): Promise<boolean> {
    const info = Buffer.alloc(24);
    try {
      await this.#cryptoki.call('C_GetMechanismInfo', (await this.#find()).slot, mechanism, info);
    } catch (error) {
      if (error instanceof CryptokiError && error.code === CKR.MECHANISM_INVALID) return false;
      throw error;
    }
    return hasFlag(info.readBigUInt64LE(16), use);
  }

  async #find(): Promise<Present> {
    const { module, token } = this.#options;
    const present = await this.#present();
    const [found, another] = present.filter(({ label }) => label === token);
    const named = `keys.pkcs11.token ${JSON.stringify(token)}`;
    if (found === undefined) {
      const labels = present.map(({ label }) => JSON.stringify(label)).join(', ');
      const hint = labels === '' ? 'shows no token at all: check its own configuration' : `has ${labels}`;
      throw new SignerUnavailable(`${named} is not there: ${module} ${hint}.`);
    }
    if (another !== undefined)
      throw new SignerUnavailable(`${named} is the label of several tokens: give each its own label.`);
    return found;
  }

  async #present(): Promise<Present[]> {
    const count = ulong(MOST_SLOTS);
    const slots = Buffer.alloc(MOST_SLOTS * 8);
    await this.#cryptoki.call('C_GetSlotList', 1, slots, count);
    const tokens: Present[] = [];
    for (let index = 0; index < count.readBigUInt64LE(); index++) {
      const slot = slots.readBigUInt64LE(index * 8);
      const info = Buffer.alloc(TOKEN_INFO.size);
      await this.#cryptoki.call('C_GetTokenInfo', slot, info);
      const label = info.toString('utf8', 0, TOKEN_INFO.label).trimEnd();
      // A token without a label was never initialized.
      if (label !== '') tokens.push({ slot, label, flags: info.readBigUInt64LE(TOKEN_INFO.flags) });
    }
    return tokens;
  }

  async #logIn(session: bigint): Promise<void> {
    const pin = Buffer.from(this.#options.pin.reveal());
    try {
      await this.#cryptoki.call('C_Login', session, CKU_USER, pin, pin.length);
      this.#isPinProven = true;
    } catch (error) {
      if (!(error instanceof CryptokiError)) throw error;
      // All sessions of a process share one login.
      if (error.code === CKR.USER_ALREADY_LOGGED_IN) return;
      const fault = PIN_FAULTS.get(error.code);
      if (fault === undefined) throw error;
      throw (this.#refusal = this.#refused(fault, error));
    } finally {
      pin.fill(0);
    }
  }

  /**
   * Refuses to log in if the PIN is locked or has one attempt left, because a server that restarts repeatedly would use
   * it up.
   */
  #requireAttempts(flags: bigint): void {
    if (hasFlag(flags, CKF.USER_PIN_LOCKED)) throw this.#refused(LOCKED);
    if (hasFlag(flags, CKF.USER_PIN_FINAL_TRY)) throw this.#refused(LAST_ATTEMPT);
  }

  #refused(why: string, cause?: unknown): SignerUnavailable {
    return new SignerUnavailable(`keys.pkcs11.pin: token ${JSON.stringify(this.#options.token)} ${why}.`, { cause });
  }
}

interface Present {
  slot: bigint;
  label: string;
  flags: bigint;
}

const WRONG = 'refuses the PIN. It counts wrong PINs and locks itself, so set the right one before the next start';

const LOCKED = 'is locked after too many wrong PINs: its security officer must unlock it';
const LAST_ATTEMPT = "has one PIN attempt left: log in once with its maker's tool, which restores the others";

const PIN_FAULTS = new Map<number, string>([
  [CKR.PIN_INCORRECT, WRONG],
  [CKR.PIN_INVALID, WRONG],
  [CKR.PIN_LEN_RANGE, WRONG],
  [CKR.PIN_EXPIRED, "says that its PIN has expired: set a new one with its maker's tool"],
  [CKR.PIN_LOCKED, LOCKED],
  [CKR.USER_PIN_NOT_INITIALIZED, 'has no user PIN yet: its security officer must set one'],
]);

function hasFlag(flags: bigint, flag: number): boolean {
  return (flags & BigInt(flag)) !== 0n;
}
