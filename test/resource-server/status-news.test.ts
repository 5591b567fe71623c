import assert from 'node:assert/strict';
import type { RequestListener, ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { returnToPresent, travel } from '../support/clock.ts';
import { until } from '../support/until.ts';
import { startApi } from './api.ts';
import type { Api } from './api.ts';
import { startStatusIssuer } from './status-issuer.ts';
import type { PublishedList, StatusIssuer } from './status-issuer.ts';
import { streamOf } from './status-stream.ts';
import type { StatusStream } from './status-stream.ts';

/** Requests that wait for their answer. */
class Held {
  readonly waiting = new Set<ServerResponse>();
  readonly ask: RequestListener = (_request, response) => {
    this.waiting.add(response);
  };

  answer(body: string): void {
    for (const response of this.waiting) response.end(body);
    this.waiting.clear();
  }
}

describe('News on the status event stream', () => {
  let issuer: StatusIssuer;
  let list: PublishedList;
  let stream: StatusStream;
  let api: Api;
  let token: string;

  beforeEach(async () => {
    issuer = await startStatusIssuer();
    list = issuer.list('one');
    // So long that the list's own life has the API ask for nothing.
    list.claims = { ttl: 100 };
    stream = streamOf(issuer);
    api = await startApi(issuer, { timeout: 30 });
    token = await issuer.tokenAt(list, 3);
  });
  afterEach(async () => {
    returnToPresent();
    await api.close();
    await issuer.close();
  });

  const refuses = (): Promise<void> => assert.rejects(api.verifier.verify(token), { fault: 'revoked' });

  async function follow(): Promise<void> {
    await api.verifier.verify(token);
    await stream.untilOpened(1);
    await until(() => list.answers.length >= 2);
    await sleep(20);
  }

  /** Time passes second by second, as the stream says that all is told. */
  async function passWithBeats(seconds: number): Promise<void> {
    for (let second = 0; second < seconds; second += 1) {
      travel(1);
      stream.tell('current', {});
      await sleep(5);
    }
  }

  /** Waits while the stream stays open: a new one would have the API ask for everything. */
  function untilWithBeats(holds: () => boolean): Promise<void> {
    return until(() => {
      stream.tell('current', {});
      return holds();
    }, 15_000);
  }

  /** The machine's own time passes. */
  async function wait(milliseconds: number): Promise<void> {
    for (let waited = 0; waited < milliseconds; waited += 500) {
      await sleep(500);
      stream.tell('current', {});
    }
  }

  it('The API closes a stream that never reports that it is current', async () => {
    await follow();
    for (let seconds = 0; stream.opened < 2 && seconds < 100; seconds += 1) {
      travel(1);
      stream.tell('keys', {});
      await sleep(20);
    }
    assert.equal(stream.opened, 2);
  });

  it('A stream without a response body does not vouch for a list', async () => {
    await follow();
    // Nothing that was put off is left.
    await wait(4500);
    stream.instead = (_request, response) => {
      response.writeHead(200, { 'Content-Type': 'text/event-stream' }).flushHeaders();
      stream.listeners.add(response);
    };
    stream.drop();
    await stream.untilOpened(2);
    list.statuses.set(3, 1);
    await passWithBeats(4);
    await refuses();
  });

  it('The API repeats a fetch that began before the news, and the stream vouches for nothing older', async () => {
    await follow();
    const [oldList = '', oldKeys = ''] = await Promise.all(
      [list.uri, `${issuer.url}/jwks`].map(async (url) => (await fetch(url)).text()),
    );
    const [lists, keys] = [new Held(), new Held()];
    list.instead = lists.ask;
    issuer.routes.set('/jwks', keys.ask);
    const tellNews = (): void => {
      stream.tell('changed', { uri: list.uri });
      stream.tell('keys', {});
    };
    tellNews();
    await until(() => lists.waiting.size > 0 && keys.waiting.size > 0);
    list.statuses.set(3, 1);
    tellNews();
    // By then every fetch that was put off has found the first one under way.
    await wait(4500);
    lists.answer(oldList);
    keys.answer(oldKeys);
    await untilWithBeats(() => lists.waiting.size > 0 && keys.waiting.size > 0);
    await passWithBeats(4);
    const refused = refuses();
    list.instead = undefined;
    issuer.routes.delete('/jwks');
    lists.answer(await (await fetch(list.uri)).text());
    keys.answer(oldKeys);
    await refused;
  });

  it('The API fetches again four seconds after the last news, when every node must know of it', async () => {
    await follow();
    stream.tell('changed', { uri: list.uri });
    await wait(2000);
    stream.tell('changed', { uri: list.uri });
    await wait(2500);
    const before = list.answers.length;
    await untilWithBeats(() => list.answers.length > before);
  });

  it('The API relies on no stream while nobody answers at its address', async () => {
    await follow();
    stream.instead = () => undefined;
    for (const opened of [2, 3]) {
      travel(4);
      await stream.untilOpened(opened);
    }
    list.statuses.set(3, 1);
    travel(4);
    await refuses();
  });
});
