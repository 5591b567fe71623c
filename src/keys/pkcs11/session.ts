import { CKR } from './constants.ts';
import { CryptokiError, type Cryptoki } from './cryptoki.ts';
import { mechanism, struct, template, ulong, type Attribute, type Struct } from './memory.ts';

/** Longer than any signature or public half: RSA with 4096 bits has 512 bytes. */
const LARGEST_VALUE = 1024;
const FOUND_AT_ONCE = 16;

/** An object's handle. The specification guarantees it only in the session that found it. */
export type Handle = bigint;

/** One session with the token. It does one thing at a time, so its holder waits for each call. */
export class Session {
  readonly #cryptoki: Cryptoki;
  readonly #handle: Handle;
  /** The keys that this session has used, by name. */
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

  /** Reads many objects, without those that another process has destroyed meanwhile. */
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

  /** @returns the public half */
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
