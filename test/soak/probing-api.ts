import { setTimeout as sleep } from 'node:timers/promises';
import {
  AccessRefused,
  createVerifier,
  InvalidToken,
  type Verifier,
} from '../../src/resource-server/resource-server.ts';
import { attachTo, type Attachment } from '../support/attach.ts';
import { Wire } from './wire.ts';

/** What an API said of a token. Times are of `performance.now()`. */
export interface Verdict {
  readonly api: string;
  readonly token: string;
  readonly askedAt: number;
  readonly answer: 'accepted' | 'refused' | 'unavailable';
}

/** An API at the end of a wire to one node, that is shown tokens without pause. */
export class ProbingApi {
  readonly name: string;
  readonly wire: Wire;
  readonly #attachment: Attachment;
  readonly #verifier: Verifier;
  #isOver = false;
  #work: Promise<void> | undefined;

  private constructor(name: string, wire: Wire, attachment: Attachment, verifier: Verifier) {
    this.name = name;
    this.wire = wire;
    this.#attachment = attachment;
    this.#verifier = verifier;
  }

  static async start(at: { issuer: string; audience: string; port: number; hasStream: boolean }): Promise<ProbingApi> {
    const { issuer, audience, port, hasStream } = at;
    const wire = new Wire(port);
    const attachment = attachTo(await wire.listen());
    const verifier = attachment.run(() =>
      createVerifier({ issuer, audience, status: { check: 'required', push: hasStream }, timeout: 1 }),
    );
    return new ProbingApi(`port ${port} ${hasStream ? 'with' : 'without'} stream`, wire, attachment, verifier);
  }

  async ask(token: string): Promise<Verdict> {
    const askedAt = performance.now();
    const answer = await this.#attachment
      .run(() => this.#verifier.verify(token))
      .then(
        () => 'accepted' as const,
        (error: unknown) => {
          if (error instanceof InvalidToken) return 'refused';
          if (error instanceof AccessRefused) return 'unavailable';
          throw error;
        },
      );
    return { api: this.name, token, askedAt, answer };
  }

  /** Asks for each of these again and again, until `rest`. @param note is told of every answer */
  probe(tokens: readonly string[], note: (verdict: Verdict) => void): void {
    this.#isOver = false;
    const work = async (): Promise<void> => {
      while (!this.#isOver) {
        // At once, since one that has to wait must not keep the others from being asked.
        for (const verdict of await Promise.all(tokens.map((token) => this.ask(token)))) note(verdict);
        await sleep(20);
      }
    };
    this.#work = work();
  }

  async rest(): Promise<void> {
    this.#isOver = true;
    await this.#work;
  }

  async close(): Promise<void> {
    await this.rest();
    this.#verifier.close();
    await this.#attachment.close();
    await this.wire.close();
  }
}
