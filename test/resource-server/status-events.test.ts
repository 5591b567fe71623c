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

describe('an API that listens to the stream of status events', () => {
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

  it('authenticates as the client that it is', async () => {
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

  it('sends no credentials where it has none', async () => {
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

  it('refuses at once what it says was revoked, without asking, and nothing else', async () => {
    await follow();
    const other = await issuer.tokenAt(list, 4);
    list.instead = away;
    stream.tell('revoked', { uri: list.uri, idx: [3, 700] });
    await untilRefused(token);
    await accepts(other);
  });

  it('is not talked out of what the stream said by a copy from before it, whatever the number of bits', async () => {
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

  it('fetches a list that it says has changed', async () => {
    await follow();
    list.statuses.set(3, 1);
    stream.tell('changed', { uri: list.uri });
    await untilRefused(token);
  });

  it('refuses a token of a list that it had not seen when it was told, though the copy that it gets lags behind', async () => {
    await follow();
    const fresh = issuer.list('two');
    stream.tell('revoked', { uri: fresh.uri, idx: [9] });
    await sleep(50);
    await refuses(await issuer.tokenAt(fresh, 9));
    await accepts(await issuer.tokenAt(fresh, 8));
  });

  it('fetches the keys anew when it says that they changed, and refuses what a revoked one signed', async () => {
    await follow();
    issuer.published.splice(0, 1, (await newKey('second')).publicJwk);
    stream.tell('keys', {});
    await untilRefused(token, 'unknown_key');
  });

  it('relies on keys that it says have changed for ten seconds, where the new ones cannot be fetched', async () => {
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

  it('relies on a list for as long as it says that all is told, and no longer than the ttl after that', async () => {
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
    it(`does not let it vouch for a copy that it said is old, while another ${title}`, async () => {
      await follow();
      list.statuses.set(3, 1);
      list.instead = instead;
      stream.tell('changed', { uri: list.uri });
      await passWithBeats(10);
      await assert.rejects(verifier.verify(token), StatusUnavailable);
    });
  }

  it('polls when it falls silent, though the connection stands, and opens it again', async () => {
    await follow();
    stream.tell('current', {});
    list.statuses.set(3, 1);
    await sleep(50);
    travel(4);
    await stream.untilOpened(2);
    await untilRefused(token);
  });

  it('asks for everything again when it comes back, before anybody asks it for anything', async () => {
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

  it('finds out within two minutes that it lies or lags, whatever it says', async () => {
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

  describe('gives up a stream, and polls,', () => {
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
      'that makes no sense': () => floods('event: revoked\ndata: {"uri":\n\n'),
      'that names impossible places': () => floods(`event: revoked\ndata: {"uri":"${list.uri}","idx":[-1]}\n\n`),
      'that names no list': () => floods('event: changed\ndata: {"uri":7}\n\n'),
      'that is not there': () => (_request, response) => response.writeHead(404).end(),
      'that has no room': () => (_request, response) => response.writeHead(503).end('data: {}\n\n'),
      'that is something else': () => (_request, response) => response.end('event: lists\ndata: {}\n\n'),
      'that is somewhere else': () => (_request, response) => response.writeHead(302, { Location: '/moved' }).end(),
    };
    for (const [title, instead] of Object.entries(streams)) {
      it(title, async () => {
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

  it('does not follow the metadata to a stream of somebody else', async () => {
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

  it('opens none for tokens without a place, and none where its owner does not want it', async () => {
    await accepts(await issuer.token());
    await using polling = await startApi(issuer, { status: { push: false } });
    await polling.verifier.verify(token);
    await sleep(100);
    assert.equal(stream.opened, 0);
  });

  it('ends the connection when it is closed, and opens no other', async () => {
    await follow();
    verifier.close();
    await until(() => stream.listeners.size === 0);
    await sleep(600);
    assert.equal(stream.opened, 1);
  });

  it('opens none once it is closed, though the issuer had yet to say where it is', async () => {
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

  it('waits longer after each try, where the issuer has no room', async () => {
    stream.instead = (_request, response) => response.writeHead(503).end();
    await accepts(token);
    await sleep(3000);
    assert.ok(stream.opened > 0 && stream.opened < 8, `${stream.opened} tries`);
  });

  it('keeps no process alive', async () => {
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
