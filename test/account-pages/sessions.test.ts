import assert from 'node:assert/strict';
import { serverStores } from '../oidc/server-stores.ts';
import { Browser, formOf } from '../support/browser.ts';
import { returnToPresent, travel } from '../support/clock.ts';
import { ADMIN } from '../support/flows.ts';
import { startTwoNodes, type TwoNodes } from '../status/two-nodes.ts';
import { buttonsOf, canRefresh, inNewBrowser, isSignedIn, wordsOf } from './people.ts';

for (const backend of serverStores) {
  describe(`The sessions page, on two nodes with ${backend.name}`, function () {
    this.timeout(60_000);
    let nodes: TwoNodes;
    let page: string;
    beforeEach(async () => {
      nodes = await startTwoNodes(backend);
      page = `${nodes.issuer}/sessions`;
    });
    afterEach(() => {
      returnToPresent();
      return nodes.stop();
    });

    it('The sessions page lists each session with browser, apps and time, and can end each other one on every node', async () => {
      const {
        issuer,
        origins: [, other],
      } = nodes;
      const desk = await inNewBrowser(issuer);
      const phone = await inNewBrowser(issuer, { on: 'a phone' });
      const television = await inNewBrowser(issuer, {
        browser: new Browser({ 'user-agent': 'TV' }),
        clientId: 'demo-photos',
      });
      const admin = await inNewBrowser(issuer, { person: ADMIN });

      const shown = await desk.browser.visit(page);
      const words = wordsOf(shown);
      const time = String.raw`\d+ \w+ \d{4} at \d\d:\d\d UTC, a moment ago`;
      const moment = `Signed in ${time} Last used ${time} From 127\\.0\\.0\\.1 Apps`;
      assert.match(words, new RegExp(`Firefox on Linux This browser ${moment} Notes `));
      assert.match(words, new RegExp(`Safari on iPhone ${moment} Notes `));
      assert.match(words, new RegExp(`A browser ${moment} Photos `));
      const buttons = buttonsOf(shown);
      assert.deepEqual([...buttons.keys()].toSorted(), [
        'Sign out Safari on iPhone',
        'Sign out a browser',
        'Sign out everywhere else',
      ]);

      const session = buttons.get('Sign out Safari on iPhone') ?? '';
      const question = await desk.browser.submit(shown, { session });
      assert.match(
        wordsOf(question),
        new RegExp(`^Sign out Safari on iPhone\\? You will have to sign in again there.*${moment} Notes`),
      );
      assert.ok(await isSignedIn(nodes, phone), 'signed out before it was confirmed');
      const after = await desk.browser.submit(question, { confirm: 'yes' });
      assert.equal(after.url, page);
      assert.match(wordsOf(after), /Safari on iPhone is signed out\./);
      assert.deepEqual([...buttonsOf(after).keys()], ['Sign out a browser', 'Sign out everywhere else']);
      const signedIn = [desk, phone, television, admin].map((one) => isSignedIn(nodes, one));
      assert.deepEqual(await Promise.all(signedIn), [true, false, true, true]);
      assert.ok(!(await canRefresh(other, phone)));
      assert.ok(await canRefresh(other, desk));
      assert.ok(await canRefresh(other, television, 'demo-photos'));
      assert.ok(await canRefresh(other, admin));
    });

    it('The "Sign out everywhere else" button ends all other sessions and keeps this one', async () => {
      const {
        issuer,
        origins: [, other],
      } = nodes;
      const desk = await inNewBrowser(issuer);
      const others = [await inNewBrowser(issuer, { on: 'a phone' }), await inNewBrowser(issuer)];
      const shown = await desk.browser.visit(`${other}/sessions`);
      const question = await desk.browser.submit(shown, { session: 'others' });
      assert.match(wordsOf(question), /^Sign out everywhere else\? You will have to sign in again in these 2 browsers/);
      const after = await desk.browser.submit(question, { confirm: 'yes' });
      assert.match(wordsOf(after), / 2 browsers are signed out\./);
      assert.deepEqual([...buttonsOf(after).keys()], []);
      for (const one of others) {
        assert.ok(!(await isSignedIn(nodes, one)));
        assert.ok(!(await canRefresh(issuer, one)));
      }
      assert.ok(await isSignedIn(nodes, desk));
      assert.ok(await canRefresh(issuer, desk));
    });

    it('The sessions form ends neither a session of another account nor the session of this browser', async () => {
      const { issuer } = nodes;
      const desk = await inNewBrowser(issuer);
      const admins = [await inNewBrowser(issuer, { person: ADMIN }), await inNewBrowser(issuer, { person: ADMIN })];
      const [one, two] = admins;
      assert.ok(one !== undefined && two !== undefined);
      const session = buttonsOf(await two.browser.visit(page)).get('Sign out Firefox on Linux') ?? '';
      assert.match(session, /^[\w-]{43}$/);
      const shown = await desk.browser.visit(page);
      for (const named of [session, 'nobody', '', '../x'])
        for (const confirm of ['', 'yes']) await postTo(desk.browser, { csrf: csrfOf(shown), session: named, confirm });
      for (const each of [desk, ...admins]) assert.ok(await isSignedIn(nodes, each));
    });

    it('The server refuses a sessions form without the CSRF token of this browser and account', async () => {
      const { issuer } = nodes;
      const [desk, phone] = [await inNewBrowser(issuer), await inNewBrowser(issuer, { on: 'a phone' })];
      const admin = await inNewBrowser(issuer, { person: ADMIN });
      const foreign = [csrfOf(await phone.browser.visit(page)), csrfOf(await admin.browser.visit(page))];
      await inNewBrowser(issuer);
      for (const csrf of [...foreign, 'x', '']) {
        const { status } = await postTo(desk.browser, { csrf, session: 'others', confirm: 'yes' });
        assert.equal(status, 403);
      }
      assert.equal((await postTo(desk.browser, { session: 'others', confirm: 'yes' })).status, 403);
      assert.equal(
        (await postTo(new Browser(), { csrf: foreign[0] ?? '', session: 'others', confirm: 'yes' })).status,
        400,
      );

      // The same browser, in which somebody else has signed in since the form was shown.
      const old = csrfOf(await desk.browser.visit(page));
      await desk.browser.submit(await desk.browser.visit(`${issuer}/logout`), { logout: 'yes' });
      await inNewBrowser(issuer, { person: ADMIN, browser: desk.browser });
      assert.equal((await postTo(desk.browser, { csrf: old, session: 'others', confirm: 'yes' })).status, 403);
      assert.ok(await isSignedIn(nodes, phone));
      assert.ok(await isSignedIn(nodes, admin));
    });

    it('A sessions form that is sent twice ends its session once, and both nodes give the same answer', async () => {
      const { issuer, origins } = nodes;
      const desk = await inNewBrowser(issuer);
      await inNewBrowser(issuer, { on: 'a phone' });
      const shown = await desk.browser.visit(page);
      const session = buttonsOf(shown).get('Sign out Safari on iPhone') ?? '';
      const { hidden } = formOf(await desk.browser.submit(shown, { session }));
      const send = async (origin: string) => {
        const body = new URLSearchParams({ ...hidden, confirm: 'yes' });
        return wordsOf(await desk.browser.visit(`${origin}/sessions`, { method: 'POST', body }));
      };
      const [first, second] = await Promise.all(origins.map(send));
      assert.match(first ?? '', /Safari on iPhone is signed out\./);
      assert.equal(second, first);
      assert.equal(await send(issuer), first);
      travel(60);
      assert.match(await send(issuer), /was already signed out\. Nothing was changed\./);
    });

    it('The account pages refuse frames and caches, and redirect signed-out browsers to the sign-in', async () => {
      const desk = await inNewBrowser(nodes.issuer);
      for (const path of ['/sessions', '/apps', '/password']) {
        const { response } = await desk.browser.visit(nodes.issuer + path);
        assert.equal(response.headers.get('x-frame-options'), 'DENY');
        assert.equal(response.headers.get('cache-control'), 'no-store');
        const policy = response.headers.get('content-security-policy') ?? '';
        for (const rule of ["default-src 'none'", "frame-ancestors 'none'", "form-action 'self'"])
          assert.ok(policy.split(';').includes(rule), policy);
        const stranger = await new Browser().request(nodes.issuer + path);
        assert.equal(stranger.status, 303);
        assert.match(stranger.headers.get('location') ?? '', /^\/authorize\?client_id=latchkey-account&/);
      }
    });

    const csrfOf = ({ html }: { html: string }): string => /name="csrf" value="([^"]+)"/.exec(html)?.[1] ?? '';

    const postTo = (browser: Browser, fields: Record<string, string>): Promise<Response> =>
      browser.request(page, { method: 'POST', body: new URLSearchParams(fields) });
  });
}
