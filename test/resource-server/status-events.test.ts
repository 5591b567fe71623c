import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { InvalidToken, IssuerUnavailable, StatusUnavailable } from '../../src/resource-server/resource-server.ts';
import type { TokenFault, Verifier } from '../../src/resource-server/resource-server.ts';
import { returnToPresent, travel } from '../support/clock.ts';
import { until } from '../support/until.ts';
import { startApi } from './api.ts';
import type { Api } from './api.ts';
import { newKey } from './issuer.ts';
import { serve } from './serving.ts';
import { startStatusIssuer } from './status-issuer.ts';
import type { PublishedList, StatusIssuer } from './status-issuer.ts';
import { streamOf } from './status-stream.ts';
import type { StatusStream } from './status-stream.ts';

describe('An API that listens to the status event stream', () => {
  let issuer: StatusIssuer;
  let list: PublishedList;
  let stream: StatusStream;
  let api: Api;
  let verifier: Verifier;
  let token: string;

  beforeEach(async () => {
    issuer = await startStatusIssuer();
    list = issuer.list('one');
    stream = streamOf(issuer);
    api = await startApi(issuer);
    verifier = api.verifier;
    token = await issuer.tokenAt(list, 3);
  });
  afterEach(async () => {
    returnToPresent();
    await api.close();
    await issuer.close();
  });

  const accepts = async (text: string): Promise<void> => {
    assert.equal((await verifier.verify(text)).sub, 'account-1');
  };
  const refuses = (text: string, fault: TokenFault = 'revoked'): Promise<void> =>
    assert.rejects(verifier.verify(text), (error) => error instanceof InvalidToken && error.fault === fault);
  const untilRefused = async (text: string, fault: TokenFault = 'revoked'): Promise<void> => {
    await until(async () => (await verifier.verify(text).catch(() => undefined)) === undefined);
    await refuses(text, fault);
  };
  const away: PublishedList['instead'] = (_request, response) => response.writeHead(503).end();

  /** Has the API follow the list by the stream: it has fetched the list once more since the stream began. */
  async function follow(): Promise<void> {
    await accepts(token);
    await stream.untilOpened(1);
    await until(() => list.answers.length >= 2);
    await sleep(20);
  }

  it('The API authenticates to the status event stream as its client', async () => {
    const own = await startApi(issuer, { status: { client: { id: 'the api:1', secret: 'top+secret %' } } });
    const asked: (string | undefined)[] = [];
    stream.instead = (request, response) => {
      asked.push(request.headers.authorization);
      response.writeHead(503).end();
    };
    try {
      await own.verifier.verify(token);
      await until(() => asked.length > 0);
      const expected = Buffer.from('the%20api%3A1:top%2Bsecret%20%25').toString('base64');
      assert.equal(asked[0], `Basic ${expected}`);
    } finally {
      await own.close();
    }
  });

  it('The API sends the stream no credentials if it has none', async () => {
    const asked: (string | undefined)[] = [];
    stream.instead = (request, response) => {
      asked.push(request.headers.authorization);
      response.writeHead(503).end();
    };
    await accepts(token);
    await until(() => asked.length > 0);
    assert.deepEqual(asked, [undefined]);
  });

  /** Time passes second by second, as the stream says that all is told. */
  async function passWithBeats(seconds: number): Promise<void> {
    for (let second = 0; second < seconds; second += 1) {
      travel(1);
      stream.tell('current', {});
      await sleep(5);
    }
  }

  it('The API refuses a token at once if the stream reports its revocation, and no other token', async () => {
    await follow();
    const other = await issuer.tokenAt(list, 4);
    list.instead = away;
    stream.tell('revoked', { uri: list.uri, idx: [3, 700] });
    await untilRefused(token);
    await accepts(other);
  });

  it('An older copy of the list does not undo a revocation from the stream, whatever the number of bits', async () => {
    for (const bits of [1, 2, 4, 8] as const) {
      const wide = issuer.list(`wide-${bits}`);
      wide.bits = bits;
      const [revoked, other] = [await issuer.tokenAt(wide, 9), await issuer.tokenAt(wide, 8)];
      await accepts(revoked);
      await stream.untilOpened(1);
      await sleep(20);
      stream.tell('revoked', { uri: wide.uri, idx: [9] });
      await untilRefused(revoked);
      // A change elsewhere, so that the issuer sends the list again.
      wide.statuses.set(700, 1);
      stream.tell('changed', { uri: wide.uri });
      await untilRefused(await issuer.tokenAt(wide, 700));
      await refuses(revoked);
      await accepts(other);
    }
  });

  it('The API fetches a list that the stream reports as changed', async () => {
    await follow();
    list.statuses.set(3, 1);
    stream.tell('changed', { uri: list.uri });
    await untilRefused(token);
  });

  it('The API refuses a token of a new list that the stream reported, even if its copy lags behind', async () => {
    await follow();
    const fresh = issuer.list('two');
    stream.tell('revoked', { uri: fresh.uri, idx: [9] });
    await sleep(50);
    await refuses(await issuer.tokenAt(fresh, 9));
    await accepts(await issuer.tokenAt(fresh, 8));
  });

  it('The API fetches the keys again if the stream reports a change, and refuses tokens of a revoked key', async () => {
    await follow();
    issuer.published.splice(0, 1, (await newKey('second')).publicJwk);
    stream.tell('keys', {});
    await untilRefused(token, 'unknown_key');
  });

  it('The API relies on changed keys for only ten seconds if the new ones are unavailable', async () => {
    await follow();
    issuer.failure = 503;
    stream.tell('keys', {});
    await passWithBeats(5);
    // Later news does not make them younger.
    stream.tell('keys', {});
    await passWithBeats(3);
    await accepts(token);
    await passWithBeats(4);
    await assert.rejects(verifier.verify(token), IssuerUnavailable);
    issuer.failure = undefined;
    await accepts(token);
  });

  it('The API relies on a list while the stream reports that it is current, and for at most the ttl after that', async () => {
    await follow();
    list.instead = away;
    await passWithBeats(50);
    await accepts(token);
    travel(6);
    await accepts(token);
    travel(4);
    await assert.rejects(verifier.verify(token), StatusUnavailable);
  });

  const unfetchable: Record<string, PublishedList['instead']> = {
    'is refused': away,
    'does not come': (_request, response) => setTimeout(() => response.destroy(), 300),
  };
  for (const [title, instead] of Object.entries(unfetchable)) {
    it(`The stream does not vouch for an outdated copy while the new one ${title}`, async () => {
      await follow();
      list.statuses.set(3, 1);
      list.instead = instead;
      stream.tell('changed', { uri: list.uri });
      await passWithBeats(10);
      await assert.rejects(verifier.verify(token), StatusUnavailable);
    });
  }

  it('The API polls and reconnects if the stream falls silent on an open connection', async () => {
    await follow();
    stream.tell('current', {});
    list.statuses.set(3, 1);
    await sleep(50);
    travel(4);
    await stream.untilOpened(2);
    await untilRefused(token);
  });

  it('The API fetches lists and keys again as soon as the stream is back', async () => {
    await follow();
    const jwks = (): number => issuer.requests.filter((path) => path === '/jwks').length;
    const before = jwks();
    list.statuses.set(3, 1);
    stream.drop();
    await stream.untilOpened(2);
    await until(() => jwks() > before && list.answers.length > 2);
    await untilRefused(token);
    assert.equal(stream.opened, 2);
  });

  it('The API discovers within two minutes that the stream omits a revocation', async () => {
    await follow();
    list.statuses.set(3, 1);
    await passWithBeats(61);
    await untilRefused(token);

    const other = await issuer.tokenAt(list, 4);
    await accepts(other);
    list.instead = away;
    for (let tries = 0; tries < 30 && !list.answers.includes(503); tries += 1) {
      await passWithBeats(5);
      await verifier.verify(other).catch(() => undefined);
    }
    await sleep(20);
    // It is not believed after an attempt that failed.
    await passWithBeats(11);
    await assert.rejects(verifier.verify(other), StatusUnavailable);
  });

  describe('Broken status event streams', () => {
    const floods =
      (text: string): StatusStream['instead'] =>
      (_request, response) => {
        response.writeHead(200, { 'Content-Type': 'text/event-stream' });
        response.write('event: lists\ndata: {"lists":{}}\n\n');
        const more = (): void => {
          while (!response.destroyed && response.write(text));
          if (!response.destroyed) response.once('drain', more);
        };
        more();
      };
    const streams: Record<string, () => StatusStream['instead']> = {
      'that never ends its line': () => floods('A'.repeat(65_536)),
      'that never ends its event': () => floods(`data: ${'A'.repeat(65_536)}\n`),
      'that is no JSON': () => floods('event: revoked\ndata: {"uri":\n\n'),
      'that names impossible indexes': () => floods(`event: revoked\ndata: {"uri":"${list.uri}","idx":[-1]}\n\n`),
      'that names no list': () => floods('event: changed\ndata: {"uri":7}\n\n'),
      'that does not exist': () => (_request, response) => response.writeHead(404).end(),
      'that has no room': () => (_request, response) => response.writeHead(503).end('data: {}\n\n'),
      'that is no event stream': () => (_request, response) => response.end('event: lists\ndata: {}\n\n'),
      'that redirects elsewhere': () => (_request, response) => response.writeHead(302, { Location: '/moved' }).end(),
    };
    for (const [title, instead] of Object.entries(streams)) {
      it(`The API gives up a stream ${title} and polls`, async () => {
        stream.instead = instead();
        await accepts(token);
        await stream.untilOpened(2);
        assert.ok(!issuer.requests.includes('/moved'));
        list.statuses.set(3, 1);
        travel(10);
        await untilRefused(token);
      });
    }
  });

  it('The API does not follow the metadata to a stream of another origin', async () => {
    const asked: unknown[] = [];
    await using elsewhere = await serve((request, response) => {
      asked.push(request.url);
      response.end();
    });
    issuer.metadata['status_events_endpoint'] = `${elsewhere.url}/status/events`;
    await accepts(token);
    await sleep(100);
    assert.deepEqual([asked, stream.opened], [[], 0]);
  });

  it('The API opens no stream for tokens without a status index or if its owner disabled it', async () => {
    await accepts(await issuer.token());
    await using polling = await startApi(issuer, { status: { push: false } });
    await polling.verifier.verify(token);
    await sleep(100);
    assert.equal(stream.opened, 0);
  });

  it('The API ends the stream connection when it is closed, and opens no other', async () => {
    await follow();
    verifier.close();
    await until(() => stream.listeners.size === 0);
    await sleep(600);
    assert.equal(stream.opened, 1);
  });

  it('A closed API opens no stream even if the metadata arrives later', async () => {
    const wellKnown = '/.well-known/oauth-authorization-server';
    const answers: (() => void)[] = [];
    issuer.routes.set(wellKnown, (_request, response) =>
      answers.push(() => response.end(JSON.stringify(issuer.metadata))),
    );
    await using own = await startApi(issuer, { jwksUri: `${issuer.url}/jwks` });
    await own.verifier.verify(token);
    await until(() => answers.length > 0);
    own.verifier.close();
    for (const answer of answers) answer();
    await sleep(300);
    assert.equal(stream.opened, 0);
  });

  it('The API waits longer after each failed attempt while the issuer has no room', async () => {
    stream.instead = (_request, response) => response.writeHead(503).end();
    await accepts(token);
    await sleep(3000);
    assert.ok(stream.opened > 0 && stream.opened < 8, `${stream.opened} tries`);
  });

  it('The stream does not keep the process alive', async () => {
    const kit = new URL('../../src/resource-server/resource-server.ts', import.meta.url).href;
    const program = `
      import { createVerifier } from '${kit}';
      const verifier = createVerifier({ issuer: '${issuer.url}', audience: 'https://api.example', currentDate: () => new Date(18e11) });
      console.log((await verifier.verify('${token}')).sub);
      await new Promise((resolve) => setTimeout(resolve, 300));
    `;
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', program]);
    assert.deepEqual([stdout, stream.opened], ['account-1\n', 1]);
  });
});
