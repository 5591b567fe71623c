import assert from 'node:assert/strict';
import { serverStores } from '../oidc/server-stores.ts';
import { ADMIN, authorizationRequest } from '../support/flows.ts';
import { startTwoNodes, type TwoNodes } from '../status/two-nodes.ts';
import { buttonsOf, canRefresh, confirmed, inNewBrowser, isSignedIn, wordsOf } from './people.ts';

const LASTING = 'openid profile offline_access notes:read';

for (const backend of serverStores) {
  describe(`The page of apps with access, on two nodes with ${backend.name}`, function () {
    this.timeout(60_000);
    let nodes: TwoNodes;
    let page: string;
    before(async () => {
      nodes = await startTwoNodes(backend);
      page = `${nodes.issuer}/apps`;
    });
    after(() => nodes.stop());

    it('The page of apps lists each app with its access, and removing an app revokes its tokens on every node', async () => {
      const {
        issuer,
        origins: [, other],
      } = nodes;
      const web = await inNewBrowser(issuer, { clientId: 'demo-web', scope: LASTING });
      const notes = await inNewBrowser(issuer, { browser: web.browser });
      const admins = await inNewBrowser(issuer, { person: ADMIN, clientId: 'demo-web', scope: LASTING });
      const shown = await web.browser.visit(page);
      assert.match(
        wordsOf(shown),
        /Demo web app Confirm your identity See your name and the address that you sign in with Read your notes in Notes API Keep this access even when you are not using the app Remove access for/,
      );

      const app = buttonsOf(shown).get('Remove access for Demo web app') ?? '';
      const question = await web.browser.submit(shown, { app });
      assert.match(
        wordsOf(question),
        /^D?\s*Remove access for Demo web app\? .*It will no longer be able to Confirm your identity.*Read your notes in Notes API/,
      );
      assert.ok(await canRefresh(other, web, 'demo-web'), 'removed before it was confirmed');
      const after = await web.browser.submit(question, { confirm: 'yes' });
      assert.equal(after.url, page);
      assert.match(wordsOf(after), /Demo web app no longer has access to your account\./);
      assert.ok(!buttonsOf(after).has('Remove access for Demo web app'));
      assert.ok(!(await canRefresh(other, web, 'demo-web')));
      assert.ok(await canRefresh(other, notes));
      assert.ok(await canRefresh(other, admins, 'demo-web'));
      assert.ok(await isSignedIn(nodes, web));
      const again = await web.browser.visit(authorizationRequest(issuer, 'demo-web', { scope: 'openid' }).url);
      assert.match(again.html, /Allow <bdi>Demo web app<\/bdi> to use your account\?/);
    });

    it('An app disappears from the page of apps when the session that it used ends', async () => {
      const { issuer } = nodes;
      const person = ADMIN;
      const [desk, phone] = [
        await inNewBrowser(issuer, { person }),
        await inNewBrowser(issuer, { person, on: 'a phone', clientId: 'demo-photos' }),
      ];
      assert.match(wordsOf(await desk.browser.visit(page)), /Photos/);
      const sessions = await desk.browser.visit(`${issuer}/sessions`);
      const session = buttonsOf(sessions).get('Sign out Safari on iPhone') ?? '';
      await confirmed(desk.browser, sessions, { session });
      assert.ok(!(await canRefresh(issuer, phone, 'demo-photos')));
      const words = wordsOf(await desk.browser.visit(page));
      assert.doesNotMatch(words, /Photos/);
      assert.match(words, /Notes/);
    });
  });
}
