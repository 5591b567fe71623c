import { BusyApp } from './busy-app.ts';
import type { IssuedToken, Readers } from './readers.ts';
import type { TwoNodes } from './two-nodes.ts';

/** Many apps at once, whose every token is verified. */
export class Load {
  /** What went wrong, in words. */
  readonly faults: string[] = [];
  readonly #apps: BusyApp[] = [];
  readonly #first: IssuedToken[] = [];
  readonly #readers: Readers;

  constructor(readers: Readers) {
    this.#readers = readers;
  }

  get requests(): number {
    return this.#apps.reduce((sum, { requests }) => sum + requests, 0);
  }

  /** One by one: sign-ins of one account that are under way at once count as guesses. */
  async signIn(server: TwoNodes, connections: number): Promise<void> {
    while (this.#apps.length < connections) this.#apps.push(await BusyApp.signedIn(server));
  }

  /** Keeps each app busy with one request after the other. */
  async run(isOver: () => boolean): Promise<void> {
    for (const app of this.#apps) this.#first.push(...(await app.next()));
    await Promise.all(this.#apps.map((app) => this.#keepBusy(app, isOver)));
  }

  /** Verifies the first tokens once more, now that their keys have long retired. */
  async lookBack(): Promise<void> {
    for (const token of this.#first) await this.#readers.verify(token);
  }

  async #keepBusy(app: BusyApp, isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      try {
        for (const token of await app.next()) await this.#readers.verify(token);
      } catch (error) {
        this.faults.push(String(error));
      }
    }
  }
}
