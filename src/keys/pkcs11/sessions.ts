import { within } from '../../lib/clock.ts';
import { SignerUnavailable } from '../external-signing.ts';
import { CryptokiError, type Cryptoki } from './cryptoki.ts';
import { CKR } from './constants.ts';
import { mechanism, struct, template, ulong, type Attribute, type Struct } from './memory.ts';

/** Bytes for a value from the token, longer than any signature or public key: RSA with 4096 bits has 512 bytes. */
const LARGEST_VALUE = 1024;
const FOUND_AT_ONCE = 16;

/** An object's handle. The specification guarantees it only in the session that found it. */
export type Handle = bigint;

/** A session with the token. It runs one call at a time, so its user awaits each call. */
export class Session {
  readonly #cryptoki: Cryptoki;
  readonly #handle: Handle;
  /** The handles of the keys that this session has used, by key name. */
  readonly keys = new Map<string, Handle>();

  constructor(cryptoki: Cryptoki, handle: Handle) {
    this.#cryptoki = cryptoki;
    this.#handle = handle;
  }

  async find(attributes: readonly Attribute[]): Promise<Handle[]> {
    const count = ulong(0);
    const found = Buffer.alloc(FOUND_AT_ONCE * 8);
    const handles: Handle[] = [];
    await this.#cryptoki.call('C_FindObjectsInit', this.#handle, template(attributes), attributes.length);
    do {
      await this.#cryptoki.call('C_FindObjects', this.#handle, found, FOUND_AT_ONCE, count);
      for (let index = 0; index < count.readBigUInt64LE(); index++) handles.push(found.readBigUInt64LE(index * 8));
    } while (count.readBigUInt64LE() > 0);
    await this.#cryptoki.call('C_FindObjectsFinal', this.#handle);
    return handles;
  }

  async read(object: Handle, type: number): Promise<Buffer> {
    const value = Buffer.alloc(LARGEST_VALUE);
    const attribute = struct(type, value, value.length);
    await this.#cryptoki.call('C_GetAttributeValue', this.#handle, object, attribute, 1);
    return value.subarray(0, Number(attribute.bytes.readBigUInt64LE(16)));
  }

  /** Reads one attribute of many objects, and skips objects that another process has destroyed meanwhile. */
  async readAll(objects: readonly Handle[], type: number): Promise<Buffer[]> {
    const values: Buffer[] = [];
    for (const object of objects) {
      await this.read(object, type).then(
        (value) => values.push(value),
        (error: unknown) => {
          if (!(error instanceof CryptokiError) || error.code !== CKR.OBJECT_HANDLE_INVALID) throw error;
        },
      );
    }
    return values;
  }

  /** Makes a key pair. @returns the handle of the public key */
  async generate(
    generation: number,
    publicHalf: readonly Attribute[],
    privateHalf: readonly Attribute[],
  ): Promise<Handle> {
    const [publicKey, privateKey] = [ulong(0), ulong(0)];
    await this.#cryptoki.call(
      'C_GenerateKeyPair',
      this.#handle,
      mechanism(generation),
      template(publicHalf),
      publicHalf.length,
      template(privateHalf),
      privateHalf.length,
      publicKey,
      privateKey,
    );
    return publicKey.readBigUInt64LE();
  }

  async sign(how: Struct, key: Handle, data: Buffer): Promise<Buffer> {
    const signature = Buffer.alloc(LARGEST_VALUE);
    const length = ulong(signature.length);
    await this.#cryptoki.call('C_SignInit', this.#handle, how, key);
    await this.#cryptoki.call('C_Sign', this.#handle, data, data.length, signature, length);
    return signature.subarray(0, Number(length.readBigUInt64LE()));
  }

  async destroy(object: Handle): Promise<void> {
    await this.#cryptoki.call('C_DestroyObject', this.#handle, object);
  }

  async close(): Promise<void> {
    await this.#cryptoki.call('C_CloseSession', this.#handle);
  }
}

/** Maximum number of concurrent calls. Each takes one of the four threads in Node's pool, and one stays free. */
const AT_ONCE = 3;
const MOST_WAITING = 1000;
/** Longest wait of a caller in milliseconds, because an HSM across a network may never answer. */
const LONGEST_WAIT = 10_000;

/** A small pool of sessions. Each is opened when it is needed, and used by one caller at a time. */
export class Sessions {
  readonly #open: () => Promise<Session>;
  readonly #restart: () => Promise<void>;
  readonly #idle: Session[] = [];
  readonly #waiting: (() => void)[] = [];
  #running = 0;
  #restarting: Promise<void> | undefined;
  #isClosed = false;

  /** @param restart reinitializes the module. It is called if no session can be opened and no other call runs. */
  constructor(open: () => Promise<Session>, restart: () => Promise<void>) {
    this.#open = open;
    this.#restart = restart;
  }

  /**
   * Does work in a session. If an old session fails, it repeats the work in a new one, because the HSM may have dropped
   * the session. The work must therefore be repeatable.
   * @throws SignerUnavailable if it fails or takes too long
   */
  async run<T>(work: (session: Session) => Promise<T>): Promise<T> {
    const late = (): Error => new SignerUnavailable(`the HSM did not answer within ${LONGEST_WAIT / 1000} seconds`);
    try {
      return await within(LONGEST_WAIT, this.#inTurn(work), late);
    } catch (error) {
      if (!(error instanceof CryptokiError)) throw error;
      throw new SignerUnavailable(`the HSM failed: ${error.message}`, { cause: error });
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

  /**
   * Opens a session. If that fails and no other call runs, it restarts the module and tries again, because many modules
   * require this after their HSM was unreachable.
   */
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
    if (this.#waiting.length >= MOST_WAITING) throw new SignerUnavailable('too many requests wait for the HSM');
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
