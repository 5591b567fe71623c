import assert from 'node:assert/strict';
import { serverStores } from '../oidc/server-stores.ts';
import { Browser, type Page } from '../support/browser.ts';
import { ADMIN, ALICE, authorizationRequest } from '../support/flows.ts';
import { startTwoNodes, type TwoNodes } from '../status/two-nodes.ts';
import { canRefresh, inNewBrowser, isSignedIn, wordsOf, type SignedInBrowser } from './people.ts';

const NEXT = 'plum cassette harbour';

for (const backend of serverStores) {
  describe(`Changing the password, on two nodes with ${backend.name}`, function () {
    this.timeout(60_000);
    let nodes: TwoNodes;
    beforeEach(async () => {
      nodes = await startTwoNodes(backend);
    });
    afterEach(() => nodes.stop());

    const change = async (
      { browser }: Pick<SignedInBrowser, 'browser'>,
      current: string,
      next = NEXT,
      again = next,
    ): Promise<Page> => browser.submit(await browser.visit(`${nodes.issuer}/password`), { current, next, again });

    const signsIn = async (password: string): Promise<boolean> => {
      const browser = new Browser();
      const page = await browser.visit(authorizationRequest(nodes.issuer).url);
      return (await browser.submit(page, { email: ALICE.email, password }, 'http://localhost:')).status !== 401;
    };

    it('A password change ends all other sessions and refresh token families on every node, and keeps this session', async () => {
      const {
        issuer,
        origins: [, other],
      } = nodes;
      const desk = await inNewBrowser(issuer);
      const phone = await inNewBrowser(issuer, { on: 'a phone' });
      const lasting = await inNewBrowser(issuer, { clientId: 'demo-web', scope: 'openid offline_access' });
      const admin = await inNewBrowser(issuer, { person: ADMIN });

      const done = await change(desk, ALICE.password);
      assert.match(
        wordsOf(done),
        /^Your password has been changed From now on, sign in as alice@example\.com with the new password\./,
      );
      assert.ok(await isSignedIn(nodes, desk));
      for (const one of [phone, lasting]) assert.ok(!(await isSignedIn(nodes, one)));
      assert.ok(!(await canRefresh(other, desk)));
      assert.ok(!(await canRefresh(other, phone)));
      assert.ok(!(await canRefresh(other, lasting, 'demo-web')));
      assert.ok(await isSignedIn(nodes, admin));
      assert.ok(await canRefresh(other, admin));
      assert.ok(!(await signsIn(ALICE.password)));
      assert.ok(await signsIn(NEXT));
      // What the app gets from now on in this browser lasts.
      assert.ok(await canRefresh(other, await inNewBrowser(issuer, { browser: desk.browser })));
    });

    it('The password form refuses a wrong current password, and limits attempts as the sign-in does', async () => {
      const desk = await inNewBrowser(nodes.issuer);
      const wrong = await change(desk, 'a wrong password');
      assert.equal(wrong.status, 401);
      assert.match(wrong.html, /This is not your current password\./);
      const both = await change(desk, 'another wrong password', 'aaaaaaaaaaaaaaa1');
      assert.match(both.html, /This is not your current password[^]*Repeated characters or words are easy to guess/);
      let page = wrong;
      for (let turn = 0; turn < 6 && page.status === 401; turn += 1) page = await change(desk, 'a wrong password');
      assert.equal(page.status, 429);
      assert.match(page.response.headers.get('retry-after') ?? '', /^\d+$/);
      assert.match(wordsOf(page), /Too many attempts\. Try again in/);
      assert.equal((await change(desk, ALICE.password)).status, 429);
      assert.ok(await isSignedIn(nodes, desk));
    });

    it('The password form explains a refused new password, changes nothing, and repeats no password in the page', async () => {
      const desk = await inNewBrowser(nodes.issuer);
      const phone = await inNewBrowser(nodes.issuer, { on: 'a phone' });
      const cases: [Page, RegExp][] = [
        [await change(desk, ALICE.password, NEXT, 'another'), /The two new passwords are not the same\./],
        [
          await change(desk, ALICE.password, 'short', 'other'),
          /Use at least[^]*The two new passwords are not the same/,
        ],
        [await change(desk, ALICE.password, 'qwertyuiopasdfgh'), /This is close to a password that many people use\./],
        [await change(desk, ALICE.password, 'short'), /Use at least \d+ characters\./],
        [await change(desk, ALICE.password, 'alice@example.com'), /This is too close to your email address\./],
        [await change(desk, ALICE.password, ALICE.password), /(current password|this service)\. Choose another\./],
      ];
      for (const [{ status, html }, words] of cases) {
        assert.equal(status, 422);
        assert.match(html, words);
        assert.doesNotMatch(html, new RegExp(`${NEXT}|${ALICE.password}`));
      }
      assert.ok(await canRefresh(nodes.origins[1], phone));
    });

    it("The server refuses a password form without the CSRF token of this browser's page", async () => {
      const { issuer } = nodes;
      const [desk, phone] = [await inNewBrowser(issuer), await inNewBrowser(issuer, { on: 'a phone' })];
      const theirs = /name="csrf" value="([^"]+)"/.exec((await phone.browser.visit(`${issuer}/password`)).html)?.[1];
      const fields = { current: ALICE.password, next: NEXT, again: NEXT };
      for (const csrf of [theirs ?? '', '', 'x']) {
        const body = new URLSearchParams({ ...fields, csrf });
        assert.equal((await desk.browser.request(`${issuer}/password`, { method: 'POST', body })).status, 403);
      }
      assert.ok(await signsIn(ALICE.password));
    });
  });
}
