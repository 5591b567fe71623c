import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { deflateSync } from 'node:zlib';
import { InvalidToken, StatusUnavailable } from '../../src/resource-server/resource-server.ts';
import type {
  StatusOptions,
  TokenFault,
  Verifier,
  VerifierOptions,
} from '../../src/resource-server/resource-server.ts';
import { MachineTime } from '../support/machine-time.ts';
import { returnToPresent, travel } from '../support/clock.ts';
import { until } from '../support/until.ts';
import { bearer, startApi } from './api.ts';
import type { Api } from './api.ts';
import { newKey, NOW } from './issuer.ts';
import { serve } from './serving.ts';
import { startStatusIssuer } from './status-issuer.ts';
import type { PublishedList, StatusIssuer } from './status-issuer.ts';

describe('An API that polls status lists', () => {
  let issuer: StatusIssuer;
  let list: PublishedList;
  let api: Api;
  let verifier: Verifier;

  beforeEach(async () => {
    issuer = await startStatusIssuer();
    list = issuer.list('one');
    await start();
  });
  afterEach(async () => {
    returnToPresent();
    await api.close();
    await issuer.close();
  });

  async function start(status: StatusOptions = {}, options: Partial<VerifierOptions> = {}): Promise<void> {
    if (api as Api | undefined) await api.close();
    api = await startApi(issuer, { status: { push: false, ...status }, timeout: 1, ...options });
    verifier = api.verifier;
  }

  const accepts = async (token: string): Promise<void> => {
    assert.equal((await verifier.verify(token)).sub, 'account-1');
  };
  const refuses = (token: string, fault: TokenFault = 'revoked'): Promise<void> =>
    assert.rejects(verifier.verify(token), (error) => error instanceof InvalidToken && error.fault === fault);
  const cannotTell = (token: string): Promise<void> => assert.rejects(verifier.verify(token), StatusUnavailable);
  const away: PublishedList['instead'] = (_request, response) => response.writeHead(503).end();

  for (const bits of [1, 2, 4, 8] as const) {
    it(`The API reads lists with ${bits} bits for each token`, async () => {
      list.bits = bits;
      for (const idx of [0, 7, 9, 1022]) list.statuses.set(idx, 1);
      if (bits > 1) list.statuses.set(500, (1 << bits) - 1);
      for (const idx of [1, 6, 8, 10, 1021, 1023, 499, 501]) await accepts(await issuer.tokenAt(list, idx));
      for (const idx of [0, 7, 9, 1022, ...(bits > 1 ? [500] : [])]) await refuses(await issuer.tokenAt(list, idx));
      assert.deepEqual(list.answers, [200]);
    });
  }

  it('The API refuses a revoked token with the error code of RFC 6750', async () => {
    list.statuses.set(3, 1);
    const { status, body, challenges } = await api.ask({ headers: bearer(await issuer.tokenAt(list, 3)) });
    const description = 'The access token was revoked';
    assert.deepEqual([status, JSON.parse(body)], [401, { error: 'invalid_token', error_description: description }]);
    assert.match(
      challenges[0] ?? '',
      /^Bearer .*error="invalid_token", error_description="The access token was revoked"/,
    );
  });

  it('The API fetches a list once for many simultaneous tokens, and not at all for an invalid token', async () => {
    await refuses(await issuer.tokenAt(list, 1, { exp: 1 }), 'expired');
    assert.deepEqual(list.answers, []);
    const tokens = await Promise.all(Array.from({ length: 20 }, (_, idx) => issuer.tokenAt(list, idx)));
    await Promise.all(tokens.map(accepts));
    assert.deepEqual(list.answers, [200]);
  });

  it('The API fetches a list again before it expires and uses its copy meanwhile', async () => {
    const token = await issuer.tokenAt(list, 3);
    await accepts(token);
    travel(5);
    await accepts(token);
    await until(() => list.answers.length === 2);
    assert.deepEqual(list.answers, [200, 304]);
    list.statuses.set(3, 1);
    travel(5);
    await accepts(token);
    await until(() => list.answers.length === 3);
    await until(async () =>
      verifier.verify(token).then(
        () => false,
        () => true,
      ),
    );
    await refuses(token);
    assert.deepEqual(list.answers, [200, 304, 200]);
  });

  it('The API refreshes a recently used list without any request', async () => {
    await accepts(await issuer.tokenAt(list, 3));
    travel(5);
    await until(() => list.answers.length === 2);
    travel(301);
    await sleep(1200);
    assert.equal(list.answers.length, 2);
  });

  it('The API refuses a revoked token within the ttl, however few requests there are', async () => {
    const token = await issuer.tokenAt(list, 3);
    await accepts(token);
    list.statuses.set(3, 1);
    travel(10);
    await refuses(token);
  });

  it('The age of a list counts from the API’s request, however long the response took', async () => {
    const token = await issuer.tokenAt(list, 3);
    const former = await (await fetch(list.uri)).text();
    const asked = Promise.withResolvers<ServerResponse>();
    list.instead = (_request, response) => {
      asked.resolve(response);
    };
    const accepted = accepts(token);
    const response = await asked.promise;
    list.statuses.set(3, 1);
    list.instead = undefined;
    travel(9);
    response.end(former);
    await accepted;
    travel(1.5);
    await refuses(token);
  });

  it('The API answers 503 while the issuer is away for longer than the ttl, and recovers', async () => {
    const token = await issuer.tokenAt(list, 3);
    await accepts(token);
    list.instead = away;
    travel(6);
    await accepts(token);
    travel(4);
    const { status, body, headers } = await api.ask({ headers: bearer(token) });
    assert.deepEqual([status, headers['retry-after'], headers['www-authenticate']], [503, '5', undefined]);
    const description = 'The revocation status of the access token is not known';
    assert.deepEqual(JSON.parse(body), { error: 'temporarily_unavailable', error_description: description });
    list.instead = undefined;
    travel(1);
    await accepts(token);
  });

  it('The API accepts tokens for as long as its owner allows while the issuer is away, except revoked ones', async () => {
    await start({ whenUnreachable: { acceptFor: 60 } });
    list.statuses.set(4, 1);
    const [good, bad] = [await issuer.tokenAt(list, 3), await issuer.tokenAt(list, 4)];
    await accepts(good);
    list.instead = away;
    travel(60);
    await accepts(good);
    await refuses(bad);
    travel(10);
    await cannotTell(good);
    await cannotTell(
      await issuer.tokenAt(issuer.list('never-there'), 3).then((token) => (issuer.routes.clear(), token)),
    );
  });

  it('The API uses no outdated copy while the issuer is reachable', async () => {
    await start({ whenUnreachable: { acceptFor: 3600 } });
    const token = await issuer.tokenAt(list, 3);
    await accepts(token);
    list.statuses.set(3, 1);
    travel(600);
    await refuses(token);
  });

  it('The API does not wait for an unresponsive issuer at each request', async () => {
    list.instead = () => undefined;
    const token = await issuer.tokenAt(list, 3);
    using machine = new MachineTime();
    const before = performance.now();
    await Promise.all(Array.from({ length: 10 }, () => cannotTell(token)));
    for (let n = 0; n < 10; n += 1) await cannotTell(token);
    assert.ok(performance.now() - before - machine.lost < 4000);
    assert.equal(issuer.requests.filter((path) => path === '/status/one').length, 1);
  });

  describe('Invalid status lists', () => {
    const lists: Record<string, (published: PublishedList) => unknown> = {
      'that another key signed': async (it) => (it.key = (await newKey('first')).privateKey),
      'of another address': (it) => (it.claims = { sub: `${issuer.url}/status/two` }),
      'of another issuer': (it) => (it.claims = { iss: 'https://evil.example' }),
      'that expired': (it) => (it.claims = { exp: NOW - 6 }),
      'that has no time of issue': (it) => (it.claims = { iat: undefined } as never),
      'of another type': (it) => (it.typ = 'at+jwt'),
      'that demands an extension': (it) => (it.header = { crit: ['b64'], b64: true }),
      'with three bits': (it) => (it.claims = { status_list: { bits: 3, lst: 'eJxjAAAAAQAB' } }),
      'that has no bits': (it) => (it.claims = { status_list: 'AAAA' }),
      'that is not compressed': (it) => (it.claims = { status_list: { bits: 1, lst: 'AAAA' } }),
      'that has an invalid ttl': (it) => (it.claims = { ttl: -1 }),
      'that is a decompression bomb': (it) =>
        (it.claims = { status_list: { bits: 1, lst: deflateSync(Buffer.alloc(2 ** 26)).toString('base64url') } }),
      'that never ends': (it) =>
        (it.instead = (_request, response) => {
          const more = (): void => {
            while (!response.destroyed && response.write('A'.repeat(65_536)));
            if (!response.destroyed) response.once('drain', more);
          };
          more();
        }),
      'that redirects elsewhere': (it) => {
        const good = issuer.routes.get('/status/one');
        it.instead = (_request, response) => response.writeHead(302, { Location: '/moved' }).end();
        if (good !== undefined) issuer.routes.set('/moved', good);
      },
      'that is no JWT': (it) => (it.instead = (_request, response) => response.end('x')),
      'that does not exist': (it) => (it.instead = (_request, response) => response.writeHead(404).end()),
      'that is answered with 304 at first': (it) =>
        (it.instead = (_request, response) => response.writeHead(304).end()),
    };
    for (const [title, spoil] of Object.entries(lists)) {
      it(`The API rejects a list ${title}`, async () => {
        await spoil(list);
        await cannotTell(await issuer.tokenAt(list, 3));
      });
    }
  });

  it('The API never follows a token to a list outside its issuer', async () => {
    const asked: unknown[] = [];
    await using elsewhere = await serve((request, response) => {
      asked.push(request.url);
      response.end();
    });
    const uris = [
      `${elsewhere.url}/status/one`,
      `${issuer.url}@evil.example/`,
      'file:///etc/passwd',
      '/status/one',
      '',
    ];
    for (const uri of uris) {
      await refuses(await issuer.token({ status: { status_list: { uri, idx: 3 } } }), 'claims');
    }
    assert.deepEqual(asked, []);
  });

  it('The API refuses a token whose status index is unreadable or outside the list', async () => {
    const places = [
      { idx: -1 },
      { idx: 1.5 },
      { idx: '3' },
      { idx: 1024 },
      { uri: 7 },
      { uri: `${list.uri}?${'a'.repeat(2048)}` },
    ];
    for (const place of places) {
      const status = { status_list: { uri: list.uri, idx: 3, ...place } };
      await refuses(await issuer.token({ status }), 'claims');
    }
    for (const status of [null, 'x', {}, { status_list: null }])
      await refuses(await issuer.token({ status }), 'claims');
  });

  it('The API finds an index that was added to the list later', async () => {
    list.size = 512;
    await accepts(await issuer.tokenAt(list, 3));
    list.size = 1024;
    await accepts(await issuer.tokenAt(list, 1000));
  });

  it('An older copy of a list does not undo a revocation, but a newer one can end a suspension', async () => {
    const twoBits = issuer.list('two');
    twoBits.bits = 2;
    twoBits.statuses.set(3, 2);
    list.statuses.set(3, 1);
    const [revoked, suspended] = [await issuer.tokenAt(list, 3), await issuer.tokenAt(twoBits, 3)];
    await refuses(revoked);
    await refuses(suspended);
    list.statuses.clear();
    twoBits.statuses.clear();
    travel(10);
    await refuses(revoked);
    await accepts(suspended);
  });

  it('The API accepts a token without a status index unless its owner requires one', async () => {
    await accepts(await issuer.token());
    await start({ check: 'required' });
    await refuses(await issuer.token(), 'claims');
    await accepts(await issuer.tokenAt(list, 3));
  });

  it('The API reads no list if its owner disabled the check', async () => {
    await start({ check: 'off' });
    list.statuses.set(3, 1);
    await accepts(await issuer.tokenAt(list, 3));
    assert.deepEqual(list.answers, []);
  });

  it('The API keeps a bounded number of lists', async () => {
    const lists = Array.from({ length: 257 }, (_, at) => issuer.list(`many-${at}`));
    for (const one of lists) {
      await accepts(await issuer.tokenAt(one, 3));
      travel(0.001);
    }
    for (const at of [0, 256]) await accepts(await issuer.tokenAt(lists[at] ?? list, 3));
    assert.deepEqual([lists[0]?.answers, lists[256]?.answers], [[200, 200], [200]]);
  });

  it('The API does not accept a status list as an access token', async () => {
    const response = await fetch(list.uri);
    await refuses(await response.text(), 'type');
  });
});
