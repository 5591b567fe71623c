import assert from 'node:assert/strict';
import { Browser, formOf, type Page } from '../support/browser.ts';
import { ADMIN, ALICE, authorizationRequest, exchangeCode, signIn } from '../support/flows.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

interface Shown {
  readonly browser: Browser;
  readonly page: Page;
  /** What a person would fill in. */
  readonly fields: Record<string, string>;
}

describe('Forms (RFC 9700 §4.7, §4.12)', () => {
  let server: TestServer;
  before(async () => {
    server = await startTestServer();
  });
  after(() => server.close());

  const start = (parameters: Record<string, string> = {}, client = 'demo-notes') =>
    authorizationRequest(server.issuer, client, parameters).url;

  /** Each form, as a browser of its own came to it. */
  const FORMS = {
    async 'sign-in'() {
      const browser = new Browser();
      return { browser, page: await browser.visit(start()), fields: ALICE };
    },
    async 'sign-up'() {
      const browser = new Browser();
      const page = await browser.visit(`${(await browser.visit(start())).url}/sign-up`);
      return { browser, page, fields: { name: 'Carl', email: 'carl@example.com', password: 'nine boats at sea' } };
    },
    async consent() {
      const browser = new Browser();
      const page = await browser.submit(await browser.visit(start({}, 'demo-web')), ADMIN);
      return { browser, page, fields: { decision: 'allow' } };
    },
    async account() {
      const browser = new Browser();
      await signIn(browser, authorizationRequest(server.issuer));
      const page = await browser.visit(start({ prompt: 'select_account' }));
      const account = /name="account"[^>]*value="([^"]*)"/.exec(page.html)?.[1] ?? assert.fail(page.html);
      return { browser, page, fields: { account } };
    },
    async 'sign-out'() {
      const browser = new Browser();
      await signIn(browser, authorizationRequest(server.issuer));
      return { browser, page: await browser.visit(`${server.issuer}/logout`), fields: { logout: 'yes' } };
    },
  } satisfies Record<string, () => Promise<Shown>>;

  function send(browser: Browser, action: string, fields: Record<string, string>): Promise<Response> {
    return browser.request(action, { method: 'POST', body: new URLSearchParams(fields) });
  }

  /** Neither leads on, nor gives a session. */
  async function assertRefused(answer: Response): Promise<void> {
    assert.ok([400, 403].includes(answer.status), `${answer.status}`);
    assert.equal(answer.headers.get('location'), null);
    assert.doesNotMatch(await answer.text(), /<input[^>]+type="hidden"/);
  }

  for (const [name, show] of Object.entries(FORMS)) {
    describe(`The ${name} form`, () => {
      const tokenName = name === 'sign-out' ? 'xsrf' : 'csrf';

      it('The server refuses a form if its CSRF token is missing, empty, made up or from another browser', async () => {
        const [mine, theirs] = await Promise.all([show(), show()]);
        const { action } = formOf(mine.page);
        const foreign = formOf(theirs.page).hidden[tokenName] ?? assert.fail('no token');
        for (const token of [undefined, '', 'x', foreign]) {
          const fields = { ...mine.fields, ...(token !== undefined && { [tokenName]: token }) };
          await assertRefused(await send(mine.browser, action, fields));
        }
      });

      it('The server refuses a form from a browser that it was not shown to', async () => {
        const [mine, theirs] = await Promise.all([show(), show()]);
        const { action, hidden } = formOf(theirs.page);
        await assertRefused(await send(mine.browser, action, { ...hidden, ...theirs.fields }));
        await assertRefused(await send(new Browser(), action, { ...hidden, ...theirs.fields }));
      });

      it('A link with a form’s fields in its query has no effect', async () => {
        const { browser, page, fields } = await show();
        const { action, hidden } = formOf(page);
        const answer = await browser.request(`${action}?${new URLSearchParams({ ...hidden, ...fields }).toString()}`);
        assert.ok([200, 400, 405].includes(answer.status), `${answer.status}`);
        assert.equal(answer.headers.get('location'), null);
      });

      it('A form works once: a second submission only redirects to the same address again', async () => {
        const { browser, page, fields } = await show();
        const { action, hidden } = formOf(page);
        const until = name === 'sign-out' ? `${server.issuer}/logout/success` : 'http://localhost';
        const first = await send(browser, action, { ...hidden, ...fields });
        assert.equal(first.status, 303, await first.text());
        let at = new URL(first.headers.get('location') ?? '', action).href;
        while (at.startsWith(server.issuer) && at !== until) {
          const next = await browser.request(at);
          if (next.status !== 303) break;
          at = new URL(next.headers.get('location') ?? '', at).href;
        }
        const again = await send(browser, action, { ...hidden, ...fields });
        assert.equal(again.status, 303);
        assert.equal(again.headers.get('location'), first.headers.get('location'));
      });
    });
  }

  describe('Session cookies', () => {
    it('The server ignores a session cookie that is changed, unsigned or signed for another cookie name', async () => {
      const { browser: victim } = await FORMS.account();
      const { value = '' } = victim.cookies.get('latchkey_session') ?? {};
      const { value: signature = '' } = victim.cookies.get('latchkey_session.sig') ?? {};
      const flipped = (text: string): string => (text.startsWith('a') ? 'b' : 'a') + text.slice(1);
      const variants = [
        [flipped(value), signature],
        [value, flipped(signature)],
        [value, ''],
        [value, victim.cookies.get('latchkey_device')?.value ?? 'none'],
        [`${value} `.repeat(2).trim(), signature],
      ] as const;
      for (const [session, sig] of variants) {
        const thief = new Browser();
        thief.cookies.set('latchkey_session', { value: session, path: '/' });
        if (sig !== '') thief.cookies.set('latchkey_session.sig', { value: sig, path: '/' });
        const page = await thief.visit(start());
        assert.match(page.html, /type="password"/);
        assert.doesNotMatch((await thief.visit(server.issuer)).html, /alice/i);
      }
      assert.match((await victim.visit(server.issuer)).html, /alice@example\.com/);
    });
  });

  describe('Another person’s sign-in', () => {
    it('A victim’s browser cannot finish the sign-in of an attacker', async () => {
      const attacker = new Browser();
      const page = await attacker.visit(start());
      const { action, hidden } = formOf(page);
      const resume = (await send(attacker, action, { ...hidden, ...ADMIN })).headers.get('location') ?? assert.fail();
      for (const victim of [new Browser(), (await FORMS['sign-in']()).browser]) {
        await assertRefused(await victim.request(resume));
        assert.doesNotMatch((await victim.visit(server.issuer)).html, /admin@example\.com/);
      }
    });

    it('A sign-in by another person replaces the browser’s session by a new one', async () => {
      const browser = new Browser();
      await signIn(browser, authorizationRequest(server.issuer));
      const before = browser.cookies.get('latchkey_session')?.value;
      const request = authorizationRequest(server.issuer, 'demo-notes', { prompt: 'login' });
      const page = await browser.submit(await browser.visit(request.url), ADMIN, request.redirectUri);
      // The engine ends the first session before it begins the second; its page does that by script.
      assert.match(page.html, /\/logout\/confirm/);
      const { action, hidden } = formOf(page);
      const callback = await browser.visit(
        action,
        { method: 'POST', body: new URLSearchParams(hidden) },
        request.redirectUri,
      );
      const { body } = await exchangeCode(server.issuer, request, new URL(callback.url));
      assert.equal(typeof body['id_token'], 'string');
      assert.notEqual(browser.cookies.get('latchkey_session')?.value, before);
      const home = await browser.visit(server.issuer);
      assert.match(home.html, /admin@example\.com/);
      assert.doesNotMatch(home.html, /alice@example\.com/);
    });
  });
});
