import { until } from '../support/until.ts';

export interface StatusEvent {
  name: string;
  data: { uri?: string; idx?: number[]; lists?: Record<string, number> };
}

/** Reads `/status/events` as an API does, and keeps what came. */
export class EventReader {
  readonly events: StatusEvent[] = [];
  readonly response: Response;
  readonly ended: Promise<void>;
  readonly #abort: AbortController;

  private constructor(response: Response, abort: AbortController) {
    this.response = response;
    this.#abort = abort;
    this.ended = this.#read().catch(() => undefined);
  }

  static async open(origin: string): Promise<EventReader> {
    const abort = new AbortController();
    return new EventReader(await fetch(`${origin}/status/events`, { signal: abort.signal }), abort);
  }

  named(name: string): StatusEvent[] {
    return this.events.filter((event) => event.name === name);
  }

  /** Waits for an event that is not there yet when this is called. */
  async next(name: string, patience?: number): Promise<StatusEvent> {
    const before = this.named(name).length;
    await until(() => this.named(name).length > before, patience);
    return this.named(name)[before] ?? { name, data: {} };
  }

  close(): void {
    this.#abort.abort();
  }

  async #read(): Promise<void> {
    let text = '';
    for await (const chunk of this.response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
      const blocks = (text + chunk).split('\n\n');
      text = blocks.pop() ?? '';
      for (const block of blocks) {
        const [, name = '', data = ''] = /^event: (\w+)\ndata: (.*)$/.exec(block) ?? [];
        this.events.push({ name, data: JSON.parse(data) as StatusEvent['data'] });
      }
    }
  }
}
