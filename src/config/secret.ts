import { inspect } from 'node:util';

/** A value that must not be printed: it shows as `[secret]` in logs, errors, JSON and the console. */
export class Secret {
  readonly #value: string | undefined;
  readonly #whyNot: string;
  /** @param value `undefined` if the secret could not be read. @param whyNot the reason for that */
  constructor(value: string | undefined, whyNot = 'a secret was not read') {
    this.#value = value;
    this.#whyNot = whyNot;
  }
  /** False if the secret could not be read and the command does not need it. */
  get isRead(): boolean {
    return this.#value !== undefined;
  }
  /** Returns the secret for its single use. @throws Error if it was not read */
  reveal(): string {
    if (this.#value === undefined) throw new Error(this.#whyNot);
    return this.#value;
  }
  toString(): string {
    return '[secret]';
  }
  toJSON(): string {
    return '[secret]';
  }
  [inspect.custom](): string {
    return '[secret]';
  }
}
