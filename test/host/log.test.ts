import assert from 'node:assert/strict';
import { WorkingDirectory, type Process } from '../cli/latchkey.ts';
import { Browser, formOf } from '../support/browser.ts';
import { authorizationRequest, exchangeCode, signIn, tokenRequest } from '../support/flows.ts';
import { freePort } from '../support/free-port.ts';

const SECRET = 'demo-web-secret-that-is-long-and-longer';
const WEB = `demo-web:${SECRET}`;
const PERSON = { email: 'alice@example.com', password: 'a phrase that only Alice knows' };
const NEW_PERSON = { name: 'Berta', email: 'berta@example.com', password: 'seven horses in a wood' };
const WRONG_PASSWORD = 'this was a typo of mine';

const settings = (port: number): string => `
issuer: http://localhost:${port}
listen: { port: ${port} }
log: { level: debug, format: json }
passwords: { min_length: 12 }
sign_up: { enabled: true }
clients:
  - client_id: demo-notes
    client_name: Notes
    type: spa
    redirect_uris: ['http://localhost:${port + 1}/callback']
    scopes: [openid, profile, email, offline_access]
  - client_id: demo-web
    client_name: Web
    type: web
    secret: { env: WEB_SECRET }
    redirect_uris: ['http://localhost:${port + 4}/callback']
    scopes: [openid, profile, email, offline_access]
    introspection: true
accounts:
  - { email: alice@example.com, name: Alice, password: { env: ALICE_PASSWORD } }
`;

interface Line {
  event?: string;
  requestId?: string;
  msg?: string;
  level: number;
  reason?: string;
  cause?: string;
}

const UNKNOWN_CLIENT = `nope<b>\u202E\n${'x'.repeat(300)}`;

describe('The log', () => {
  const directory = new WorkingDirectory();
  const secrets = new Map<string, string>();
  let issuer: string;
  let child: Process;
  let output: string;
  let lines: Line[];
  /** As the error page names it, for whoever asks for help. */
  let pageOfUnknown: string;
  let numberOnPage: string | undefined;

  /** Remembers what must not be printed. */
  const know = (what: string, value: unknown): void => {
    if (typeof value === 'string' && value.length >= 8) secrets.set(value, what);
  };
  const knowBrowser = (browser: Browser): void => {
    for (const [name, { value }] of browser.cookies) know(`cookie ${name}`, value);
  };

  async function signInAndOut(): Promise<void> {
    const browser = new Browser();
    const request = authorizationRequest(issuer, 'demo-web', {
      scope: 'openid email offline_access',
      prompt: 'consent',
    });
    know('verifier', request.verifier);
    const page = await browser.visit(request.url);
    knowBrowser(browser);
    know('interaction', new URL(page.url).pathname.split('/')[2]);
    know('csrf', formOf(page).hidden['csrf']);
    await browser.submit(page, { ...PERSON, password: WRONG_PASSWORD });
    const callback = await signIn(browser, request, PERSON);
    knowBrowser(browser);
    know('code', callback.searchParams.get('code'));
    const { body } = await exchangeCode(issuer, request, callback, WEB);
    for (const name of ['access_token', 'refresh_token', 'id_token']) know(name, body[name]);
    await exchangeCode(issuer, request, callback, WEB);
    const post = (path: string, token: unknown) =>
      fetch(issuer + path, {
        method: 'POST',
        headers: { authorization: `Basic ${Buffer.from(WEB).toString('base64')}` },
        body: new URLSearchParams({ token: String(token) }),
      });
    const next = await signIn(browser, request, PERSON);
    const again = (await exchangeCode(issuer, request, next, WEB)).body;
    for (const name of ['access_token', 'refresh_token', 'id_token']) know(name, again[name]);
    know('code', next.searchParams.get('code'));
    await renewed(again);
    await fetch(`${issuer}/userinfo`, { headers: { authorization: `Bearer ${String(again['access_token'])}` } });
    await fetch(`${issuer}/userinfo?access_token=${String(again['access_token'])}`);
    await fetch(`${issuer}/nothing/${String(again['refresh_token'])}?code=${String(next.searchParams.get('code'))}`);
    await post('/introspect', again['access_token']);
    await post('/revoke', again['refresh_token']);
    const last = (await exchangeCode(issuer, request, await signIn(browser, request, PERSON), WEB)).body;
    await renewed(await renewed(last));
    // A repeat would be answered; now that its successor has been used, it is a replay.
    await renewed(last);
    await browser.visit(`${issuer}/logout?id_token_hint=${String(again['id_token'])}`);
    await browser.visit(`${issuer}/logout?id_token_hint=${String(again['id_token'])}x`);
    knowBrowser(browser);
  }

  async function renewed({ refresh_token: token }: Record<string, unknown>): Promise<Record<string, unknown>> {
    const parameters = { grant_type: 'refresh_token', refresh_token: String(token) };
    const { body } = await tokenRequest(issuer, parameters, WEB);
    for (const name of ['access_token', 'refresh_token', 'id_token']) know(name, body[name]);
    return body;
  }

  async function signUp(): Promise<void> {
    const browser = new Browser();
    const page = await browser.visit(authorizationRequest(issuer).url);
    const form = await browser.visit(`${page.url}/sign-up`);
    await browser.submit(form, { ...NEW_PERSON, password: 'short of it' });
    await browser.submit(form, NEW_PERSON, `http://localhost:${Number(new URL(issuer).port) + 1}`);
    knowBrowser(browser);
  }

  async function mistakes(): Promise<void> {
    await tokenRequest(issuer, { grant_type: 'client_credentials' }, 'demo-web:a-secret-that-is-wrong');
    know('wrong secret', 'a-secret-that-is-wrong');
    await tokenRequest(issuer, { grant_type: 'refresh_token', refresh_token: 'a-token-that-never-was' }, WEB);
    know('unknown token', 'a-token-that-never-was');
    await fetch(`${issuer}/token`, {
      method: 'POST',
      body: `{"client_secret":"${SECRET}"`,
    });
    const unknown = 'redirect_uri=https://evil.example/?code=not-for-a-log-file';
    const refusal = await new Browser().visit(`${issuer}/authorize?client_id=demo-notes&${unknown}`);
    numberOnPage = /Reference for support<\/dt><dd>([^<]+)/.exec(refusal.html)?.[1];
    know('a part of an unknown address', 'not-for-a-log-file');
    pageOfUnknown = (await new Browser().visit(`${issuer}/authorize?client_id=${encodeURIComponent(UNKNOWN_CLIENT)}`))
      .html;
    const browser = new Browser();
    browser.cookies.set('latchkey_session', { value: 'a-session-of-somebody-else', path: '/' });
    know('foreign cookie', 'a-session-of-somebody-else');
    await browser.visit(`${issuer}/`);
  }

  before(async () => {
    const port = await freePort();
    issuer = `http://localhost:${port}`;
    directory.write('latchkey.yaml', settings(port));
    child = directory.start(['start'], {
      WEB_SECRET: SECRET,
      ALICE_PASSWORD: PERSON.password,
    });
    await child.printed(/"ready"/);
    for (const value of [SECRET, PERSON.password, NEW_PERSON.password, WRONG_PASSWORD]) know('typed', value);
    await signInAndOut();
    await signUp();
    await mistakes();
    child.kill('SIGTERM');
    const { out, err } = await child.ended;
    output = out + err;
    lines = out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Line);
  });
  after(() => directory.remove());

  it('The debug log contains no password, token, code, cookie or secret', () => {
    assert.ok(secrets.size > 25, `only ${secrets.size} are known`);
    const found = [...secrets].filter(([value]) => output.includes(value));
    assert.deepEqual(found, []);
    for (const part of [...secrets.keys()].filter((value) => value.split('.').length === 3))
      assert.ok(!output.includes(part.split('.')[2] ?? part), 'the signature of a token');
  });

  it('The log contains one line of JSON for each event', () => {
    const count = (event: string): number => lines.filter((line) => line.event === event).length;
    assert.equal(count('account.signed-in'), 1);
    assert.equal(count('account.signed-up'), 1);
    assert.equal(count('sign-in.refused'), 1);
    assert.ok(count('request.refused') >= 4);
    assert.equal(lines.filter(({ event, cause }) => event === 'revoked' && cause === 'signed-out').length, 1);
  });

  it('The log gives the exact reason for an error whose response has only the standard code', () => {
    const reasons = lines.filter((line) => line.event === 'request.refused').map((line) => line.reason ?? '');
    assert.ok(
      reasons.some((reason) => reason.includes('secret')),
      reasons.join('; '),
    );
    assert.ok(reasons.every((reason) => reason !== ''));
  });

  it('The log and the error page show an unknown client_id as bounded and harmless text', () => {
    const shown = `nope<b>\uFFFD\uFFFD${'x'.repeat(91)}…`;
    assert.ok(
      lines.some(({ reason }) => reason === `client not found: "${shown}"`),
      output,
    );
    assert.ok(pageOfUnknown.includes(shown.replace('<b>', '&lt;b&gt;').slice(0, 60)), pageOfUnknown);
    assert.ok(!pageOfUnknown.includes('<b>') && !pageOfUnknown.includes('x'.repeat(92)));
  });

  it('The request id on an error page finds its lines in the log', () => {
    assert.match(numberOnPage ?? '', /./);
    const reasons = lines.filter((line) => line.requestId === numberOnPage).map(({ reason }) => reason);
    assert.ok(reasons.includes("redirect_uri did not match any of the client's registered redirect_uris"));
  });

  it('The log warns about a refresh token that was replayed after its successor was used', () => {
    const at = lines.findIndex(({ reason }) => reason === 'refresh token came again after its successor was used');
    const told = lines[at - 1];
    assert.deepEqual([told?.event, told?.cause, told?.level], ['revoked', 'refresh-token-replayed', 40]);
  });

  it('The log warns about a replayed code, but not about a deliberate revocation', () => {
    const levels = (cause: string) => new Set(lines.filter((line) => line.cause === cause).map(({ level }) => level));
    assert.deepEqual([levels('code-replayed'), levels('token-revoked')], [new Set([40]), new Set([30])]);
  });

  it('The log contains no line of level error for client and sign-in errors', () => {
    assert.deepEqual(
      lines.filter(({ level }) => level >= 50),
      [],
    );
  });
});
