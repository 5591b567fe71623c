import { inspect } from 'node:util';

/** A value that must not be printed: it shows as `[secret]` in logs, errors, JSON and the console. */
export class Secret {
  readonly #value: string | undefined;
  readonly #whyNot: string;
  /**
   * Wraps a secret. @param value `undefined` if the secret could not be read. @param whyNot the reason why it was not
   * read
   */
  constructor(value: string | undefined, whyNot = 'a secret was not read') {
    this.#value = value;
    this.#whyNot = whyNot;
  }
  /** False if the secret could not be read and the command does not need it. */
  get isRead(): boolean {
    return this.#value !== undefined;
  }
  /** Returns the secret in plain text, for the one place that uses it. @throws Error if it was not read */
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
