import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { issuerSchema } from '../../src/config/sections/issuer-schema.ts';
import type { TrustedIssuer } from '../../src/config/schema.ts';
import { IssuerKeys } from '../../src/issuers/issuer-keys.ts';
import { KeySets } from '../../src/outgoing/key-sets.ts';
import { outgoingFetch } from '../../src/outgoing/outgoing-fetch.ts';
import { newKeys } from '../grants/jwt-bearer/foreign-issuer.ts';
import { MovedClock } from '../support/clock.ts';

const KEYS = Object.fromEntries(
  ['one', 'two'].map((kid) => [kid, { ...newKeys('ES256').publicKey.export({ format: 'jwk' }), kid }]),
);

describe('The published keys of a trusted issuer', () => {
  let server: Server;
  let issuer: TrustedIssuer;
  let clock: MovedClock;
  let keys: IssuerKeys;
  let asked: number;
  let failures: string[];
  /** How the issuer answers. */
  let status: number;
  let body: string;

  before(async () => {
    server = createServer((_request, response) => {
      asked += 1;
      response.statusCode = status;
      if (status === 302) response.setHeader('location', 'http://127.0.0.1:1/');
      response.end(body);
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address() as AddressInfo;
    issuer = issuerSchema.parse({
      issuer: 'https://partner.example',
      jwks_uri: `http://127.0.0.1:${port}/jwks`,
      subject: { is: 'account' },
      clients: ['portal'],
      resources: ['https://api.example'],
    });
  });
  after(() => {
    server.closeAllConnections();
    server.close();
  });

  beforeEach(() => {
    [asked, failures] = [0, []];
    publish('one');
    clock = new MovedClock();
    keys = opened(['127.0.0.1']);
  });

  function opened(allow: string[]): IssuerKeys {
    const reportFailure = (_address: string, error: unknown) => void failures.push(String(error));
    const fetch = outgoingFetch({ allow, maxBytes: 65_536, timeout: 15_000 });
    return new IssuerKeys(new KeySets({ fetch, clock, reportFailure }));
  }

  function publish(...kids: string[]): void {
    [status, body] = [200, JSON.stringify({ keys: kids.map((kid) => KEYS[kid]) })];
  }

  /** What came of looking for a key: its name, or why there is none. */
  async function find(kid: string): Promise<string> {
    const choice = await keys.find(issuer, { kid, alg: 'ES256' });
    return typeof choice === 'string' ? choice : (choice.jwk.kid ?? '');
  }

  it('The server fetches an issuer’s keys once, even for concurrent requests', async () => {
    const found = await Promise.all(Array.from({ length: 30 }, () => find('one')));
    assert.deepEqual([new Set(found), asked], [new Set(['one']), 1]);
    clock.advance(500);
    assert.deepEqual([await find('one'), asked], ['one', 1]);
  });

  it('The server fetches an issuer’s keys again for an unknown kid, but at most every 30 seconds', async () => {
    await find('one');
    publish('one', 'two');
    assert.deepEqual([await find('two'), asked], ['unknown', 1]);
    clock.advance(30);
    assert.deepEqual([await find('two'), asked], ['two', 2]);
    for (let tries = 0; tries < 20; tries += 1) assert.equal(await find(`made-up-${tries}`), 'unknown');
    assert.equal(asked, 2);
    clock.advance(30);
    await Promise.all(Array.from({ length: 20 }, (_, at) => find(`made-up-${at}`)));
    assert.equal(asked, 3);
  });

  it('The server forgets an issuer’s key ten minutes after the issuer has removed it', async () => {
    publish('one', 'two');
    assert.equal(await find('one'), 'one');
    publish('two');
    clock.advance(601);
    assert.equal(await find('one'), 'unknown');
    assert.equal(await find('two'), 'two');
  });

  it('The server uses an issuer’s keys for an hour while the issuer does not answer, and then none until it does', async () => {
    await find('one');
    status = 503;
    clock.advance(3600);
    assert.equal(await find('one'), 'one');
    clock.advance(601);
    assert.equal(await find('one'), 'unavailable');
    status = 200;
    assert.equal(await find('one'), 'unavailable');
    clock.advance(31);
    assert.equal(await find('one'), 'one');
    assert.match(failures.join(), /answered 503/);
  });

  const unusable: Record<string, [status: number, body: string, failure: RegExp]> = {
    'does not exist': [404, '', /answered 404/],
    'is a redirect': [302, '', /redirect/],
    'is not JSON': [200, '<html>', /JSON/],
    'has no list of keys': [200, '{"keys":{}}', /no JWK set/],
    'is a list instead of an object': [200, '[]', /no JWK set/],
    'has too many keys': [200, JSON.stringify({ keys: Array(101).fill({ kty: 'EC' }) }), /no JWK set of up to 100/],
    'is too large': [200, JSON.stringify({ keys: [], padding: 'x'.repeat(70_000) }), /./],
  };
  for (const [what, [answer, text, failure]] of Object.entries(unusable)) {
    it(`An issuer’s keys are unavailable if the document ${what}, and the log says so`, async () => {
      [status, body] = [answer, text];
      assert.equal(await find('one'), 'unavailable');
      assert.match(failures.join(), failure);
    });
  }

  it('The server does not fetch an issuer’s keys from a private address that the operator has not listed', async () => {
    keys = opened([]);
    assert.equal(await find('one'), 'unavailable');
    assert.equal(asked, 0);
  });

  it('The server accepts no secret and no private key from an issuer’s key set', async () => {
    const set = [
      { kty: 'oct', k: 'c2VjcmV0', kid: 'one' },
      { ...newKeys('ES256').privateKey.export({ format: 'jwk' }), kid: 'one' },
      'one',
      null,
    ];
    [status, body] = [200, JSON.stringify({ keys: set })];
    assert.deepEqual([await find('one'), await find('two')], ['weak', 'unknown']);
  });

  it('The server refuses an issuer’s weak key, and still uses the other keys', async () => {
    const short = generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey.export({ format: 'jwk' });
    [status, body] = [200, JSON.stringify({ keys: [{ ...short, kid: 'short' }, KEYS['one']] })];
    const choice = await keys.find(issuer, { kid: 'short', alg: 'RS256' });
    assert.deepEqual([choice, await find('one')], ['weak', 'one']);
    const inline = { jwks: JSON.parse(body) as NonNullable<TrustedIssuer['jwks']> };
    assert.equal(await keys.find(inline, { kid: 'short', alg: 'RS256' }), 'weak');
  });
});
