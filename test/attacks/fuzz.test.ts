import assert from 'node:assert/strict';
import fc from 'fast-check';
import { Browser, formOf } from '../support/browser.ts';
import { ADMIN, ALICE, authorizationRequest, exchangeCode, signIn } from '../support/flows.ts';
import { sendRaw, type RawAnswer } from '../support/raw-http.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
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

describe('Whatever is sent', function () {
  this.timeout(120_000);
  let server: TestServer;
  let places: Places;
  let host: string;
  let cookies: Record<'signedIn' | 'signingIn', string>;
  let bases: Record<string, Base>;

  before(async () => {
    server = await startTestServer();
    host = new URL(server.issuer).host;
    const redirectUris = server.config.clients.flatMap((client) => [
      ...client.redirect_uris,
      ...client.post_logout_redirect_uris,
    ]);
    places = { issuer: server.issuer, redirectUris };
    bases = await makeBases();
  });
  after(() => server.close());

  async function makeBases(): Promise<Record<string, Base>> {
    const browser = new Browser();
    const web = authorizationRequest(server.issuer, 'demo-web');
    const { body: tokens } = await exchangeCode(server.issuer, web, await signIn(browser, web));
    const person = new Browser();
    const { action, hidden } = formOf(await person.visit(authorizationRequest(server.issuer).url));
    cookies = { signedIn: cookieOf(browser, '/'), signingIn: cookieOf(person, new URL(action).pathname) };
    const request = Object.entries(Object.fromEntries(new URL(authorizationRequest(server.issuer).url).searchParams));
    const pushed = Object.entries(Object.fromEntries(new URL(web.url).searchParams));
    const access = String(tokens['access_token']);
    const wrong = basic('demo-web:not-the-secret');
    const code = [
      ['grant_type', 'authorization_code'],
      ['code', 'never-issued'],
      ['redirect_uri', web.redirectUri],
    ] as const;
    const end = [
      ['client_id', 'demo-notes'],
      ['post_logout_redirect_uri', places.redirectUris[2] ?? ''],
    ] as const;
    const form = [
      ['email', ALICE.email],
      ['password', 'wrong'],
      ['csrf', hidden['csrf'] ?? ''],
    ] as const;
    const path = new URL(action).pathname;
    const signedIn = [`Cookie: ${cookies.signedIn}`];
    const signingIn = [`Cookie: ${cookies.signingIn}`];
    return {
      'GET /authorize': { method: 'GET', path: '/authorize', parameters: request },
      'GET /authorize of somebody signed in': {
        method: 'GET',
        path: '/authorize',
        parameters: request,
        headers: signedIn,
      },
      'POST /authorize': { method: 'POST', path: '/authorize', parameters: request },
      'POST /par': { method: 'POST', path: '/par', parameters: pushed, headers: [basic('demo-web:demo-web-secret')] },
      'POST /token for a code': {
        method: 'POST',
        path: '/token',
        parameters: code,
        headers: [basic('demo-web:demo-web-secret')],
      },
      'POST /token with a wrong secret': {
        method: 'POST',
        path: '/token',
        parameters: [['grant_type', 'client_credentials']],
        headers: [wrong],
      },
      'POST /token for a machine': {
        method: 'POST',
        path: '/token',
        parameters: [
          ['grant_type', 'client_credentials'],
          ['scope', 'notes:read'],
          ['client_id', 'demo-service'],
          ['client_secret', 'not the secret'],
        ],
      },
      'POST /introspect with a wrong secret': {
        method: 'POST',
        path: '/introspect',
        parameters: [['token', access]],
        headers: [wrong],
      },
      'POST /introspect': {
        method: 'POST',
        path: '/introspect',
        parameters: [['token', 'unknown']],
        headers: [basic('demo-web:demo-web-secret')],
      },
      'POST /revoke with a wrong secret': {
        method: 'POST',
        path: '/revoke',
        parameters: [['token', access]],
        headers: [wrong],
      },
      'POST /revoke': {
        method: 'POST',
        path: '/revoke',
        parameters: [['token', 'unknown']],
        headers: [basic('demo-web:demo-web-secret')],
      },
      'GET /userinfo': { method: 'GET', path: '/userinfo', parameters: [], headers: ['Authorization: Bearer unknown'] },
      'POST /userinfo': { method: 'POST', path: '/userinfo', parameters: [['access_token', 'unknown']] },
      'GET /logout': { method: 'GET', path: '/logout', parameters: end, headers: signedIn },
      'POST /logout': { method: 'POST', path: '/logout', parameters: end },
      'POST /logout/confirm': {
        method: 'POST',
        path: '/logout/confirm',
        parameters: [
          ['xsrf', 'x'],
          ['logout', 'yes'],
        ],
        headers: signedIn,
      },
      'GET /logout/success': { method: 'GET', path: '/logout/success', parameters: [['client_id', 'demo-notes']] },
      'GET /interaction/:uid': {
        method: 'GET',
        path: path.replace('/sign-in', ''),
        parameters: [],
        headers: signingIn,
      },
      'POST /interaction/:uid/sign-in': { method: 'POST', path, parameters: form, headers: signingIn },
      'POST /interaction/:uid/sign-up': {
        method: 'POST',
        path: path.replace('sign-in', 'sign-up'),
        parameters: [
          ['name', 'M'],
          ['email', 'none'],
          ['password', 'x'],
          ['csrf', hidden['csrf'] ?? ''],
        ],
        headers: signingIn,
      },
      'POST /interaction/:uid/consent': {
        method: 'POST',
        path: path.replace('sign-in', 'consent'),
        parameters: [
          ['decision', 'allow'],
          ['csrf', hidden['csrf'] ?? ''],
        ],
        headers: signingIn,
      },
      'POST /interaction/:uid/account': {
        method: 'POST',
        path: path.replace('sign-in', 'account'),
        parameters: [
          ['account', 'x'],
          ['csrf', hidden['csrf'] ?? ''],
        ],
        headers: signingIn,
      },
      'POST /interaction/:uid of nobody': { method: 'POST', path: '/interaction/unknown/sign-in', parameters: form },
      'GET /authorize/:uid': { method: 'GET', path: '/authorize/unknown', parameters: [] },
      'GET /': { method: 'GET', path: '/', parameters: [], headers: signedIn },
      'GET /jwks': { method: 'GET', path: '/jwks', parameters: [] },
      'GET /.well-known/openid-configuration': {
        method: 'GET',
        path: '/.well-known/openid-configuration',
        parameters: [],
      },
      'GET /healthz': { method: 'GET', path: '/healthz', parameters: [] },
    };
  }

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
    it(`to ${name}, the answer is well-behaved`, () => attack(attackOn(bases[name] ?? assert.fail(), host)));
  }

  /** Nothing in these requests opens anything, so no change of them may. */
  const LOCKED = [
    ...['POST /token for a code', 'POST /token with a wrong secret', 'POST /token for a machine'],
    ...['POST /introspect with a wrong secret', 'POST /revoke with a wrong secret', 'GET /userinfo', 'POST /userinfo'],
    ...['POST /interaction/:uid/sign-in', 'POST /interaction/:uid/consent', 'POST /interaction/:uid/account'],
    ...['POST /interaction/:uid of nobody', 'GET /authorize/:uid'],
  ];
  for (const name of LOCKED) {
    it(`to ${name}, nothing is let in`, () =>
      attack(attackOn(bases[name] ?? assert.fail(), host), ({ status, headers, body }) => {
        if (status === 204 && headers.has('allow')) return;
        const isHead = body === '' && headers.get('content-length') !== '0';
        assert.ok(
          status >= 400 || (status === 200 && (isHead || body.includes('type="password"'))),
          `${status} ${body}`,
        );
      }));
  }

  it('to paths that are near to ours, the answer is well-behaved', () => attack(oddPathFrom(PATHS, host)));

  it('the server is as it was', async () => {
    const request = authorizationRequest(server.issuer);
    const { status } = await exchangeCode(server.issuer, request, await signIn(new Browser(), request, ADMIN));
    assert.equal(status, 200);
    assert.equal((await fetch(`${server.issuer}/readyz`)).status, 200);
  });
});

function basic(credentials: string): string {
  return `Authorization: Basic ${Buffer.from(credentials).toString('base64')}`;
}

function cookieOf(browser: Browser, path: string): string {
  const sent = [...browser.cookies].filter(([, cookie]) => path.startsWith(cookie.path));
  return sent.map(([name, { value }]) => `${name}=${value}`).join('; ');
}
