import assert from 'node:assert/strict';
import fc from 'fast-check';
import { Browser } from '../support/browser.ts';
import { ADMIN, authorizationRequest, exchangeCode, signIn } from '../support/flows.ts';
import { sendRaw, type RawAnswer } from '../support/raw-http.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { basesOf } from './bases.ts';
import { attackOn, oddPathFrom, type Base } from './requests.ts';
import { assertWellBehaved, type Places } from './well-behaved.ts';

/** How many attacks on each endpoint. fast-check prints the seed of one that succeeds. */
const RUNS = Number(process.env['FUZZ_RUNS'] ?? 200);

const PATHS = [
  ...['', '/', '/authorize', '/token', '/userinfo', '/introspect', '/revoke', '/par', '/logout', '/logout/confirm'],
  ...['/logout/success', '/jwks', '/.well-known/openid-configuration', '/.well-known/oauth-authorization-server'],
  ...[
    '/healthz',
    '/readyz',
    '/interaction',
    '/interaction/x',
    '/interaction/x/sign-in',
    '/assets',
    '/assets/style.css',
  ],
];

describe('Fuzzed requests', function () {
  this.timeout(120_000);
  let server: TestServer;
  let places: Places;
  let host: string;
  let bases: Record<string, Base>;

  before(async () => {
    server = await startTestServer();
    host = new URL(server.issuer).host;
    const redirectUris = server.config.clients.flatMap((client) => [
      ...client.redirect_uris,
      ...client.post_logout_redirect_uris,
    ]);
    places = { issuer: server.issuer, redirectUris };
    bases = await basesOf(places);
  });
  after(() => server.close());

  async function attack(arbitrary: fc.Arbitrary<Buffer>, more: (answer: RawAnswer) => void = () => undefined) {
    const property = fc.asyncProperty(arbitrary, async (bytes) => {
      const answer = await sendRaw(server.port, bytes);
      assertWellBehaved(answer, places);
      more(answer);
    });
    const readable = (bytes: readonly [Buffer]): string => JSON.stringify(bytes[0].toString('latin1').slice(0, 3000));
    await fc.assert(property, {
      numRuns: RUNS,
      reporter: (out) => {
        if (!out.failed) return;
        const example = out.counterexample === null ? 'none' : readable(out.counterexample);
        throw new Error(
          `seed ${out.seed}, path ${out.counterexamplePath ?? ''}: ${example}\n${String(out.errorInstance)}`,
        );
      },
    });
  }

  const OPEN = [
    ...['GET /authorize', 'GET /authorize of somebody signed in', 'POST /authorize', 'POST /par', 'POST /introspect'],
    ...['POST /revoke', 'GET /logout', 'POST /logout', 'POST /logout/confirm', 'GET /logout/success'],
    ...['GET /interaction/:uid', 'POST /interaction/:uid/sign-up', 'GET /', 'GET /jwks'],
    ...['GET /.well-known/openid-configuration', 'GET /healthz'],
  ];
  for (const name of OPEN) {
    it(`Every response to mutations of ${name} is well-behaved`, () =>
      attack(attackOn(bases[name] ?? assert.fail(), host)));
  }

  /** Nothing in these requests opens anything, so no change of them may. */
  const LOCKED = [
    ...['POST /token for a code', 'POST /token with a wrong secret', 'POST /token for a machine'],
    ...['POST /introspect with a wrong secret', 'POST /revoke with a wrong secret', 'GET /userinfo', 'POST /userinfo'],
    ...['POST /interaction/:uid/sign-in', 'POST /interaction/:uid/consent', 'POST /interaction/:uid/account'],
    ...['POST /interaction/:uid of nobody', 'GET /authorize/:uid'],
  ];
  for (const name of LOCKED) {
    it(`No mutation of ${name} gives access to anything`, () =>
      attack(attackOn(bases[name] ?? assert.fail(), host), ({ status, headers, body }) => {
        if (status === 204 && headers.has('allow')) return;
        const isHead = body === '' && headers.get('content-length') !== '0';
        assert.ok(
          status >= 400 || (status === 200 && (isHead || body.includes('type="password"'))),
          `${status} ${body}`,
        );
      }));
  }

  it('Every response to a path that resembles an existing one is well-behaved', () => attack(oddPathFrom(PATHS, host)));

  it('The server still issues tokens and reports ready after all these requests', async () => {
    const request = authorizationRequest(server.issuer);
    const { status } = await exchangeCode(server.issuer, request, await signIn(new Browser(), request, ADMIN));
    assert.equal(status, 200);
    assert.equal((await fetch(`${server.issuer}/readyz`)).status, 200);
  });
});
