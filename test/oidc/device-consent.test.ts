import assert from 'node:assert/strict';
import { decodeJwt } from 'jose';
import { wordsOf } from '../account-pages/people.ts';
import { Browser, type Page } from '../support/browser.ts';
import { returnToPresent, travel } from '../support/clock.ts';
import { enterCode, poll, startDevice, withTelevision, type Device } from '../support/device.ts';
import { ADMIN, ALICE, authorizationRequest, signIn, type Person } from '../support/flows.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

describe('The consent page for a device', () => {
  let server: TestServer;
  beforeEach(async () => {
    server = await startTestServer({ change: withTelevision });
  });
  afterEach(async () => {
    returnToPresent();
    await server.close();
  });

  /** Another tab of the browser signs somebody in. */
  async function signInElsewhere(browser: Browser, person: Person = ADMIN): Promise<void> {
    await signIn(browser, authorizationRequest(server.issuer), person);
  }

  async function signOutElsewhere(browser: Browser): Promise<void> {
    await browser.submit(await browser.visit(`${server.issuer}/logout`), { logout: 'yes' });
  }

  const confirm = (browser: Browser, page: Page): Promise<Page> => browser.submit(page, { confirm: 'yes' });

  async function assertWaiting(device: Device): Promise<void> {
    assert.equal((await poll(server.issuer, device)).body['error'], 'authorization_pending');
    // The next poll is no sooner than the device was told.
    travel(20);
  }

  async function personOf(device: Device): Promise<unknown> {
    const { status, body } = await poll(server.issuer, device);
    assert.equal(status, 200, JSON.stringify(body));
    return decodeJwt(String(body['id_token']))['name'];
  }

  for (const isSignedIn of [true, false]) {
    it(`One device page names the app, the code and the scopes, and no other follows (${isSignedIn ? 'signed in' : 'signed out'})`, async () => {
      // An app that nobody has allowed anything, and again when it has been.
      for (const time of ['the first time', 'the second time']) {
        const [browser, device] = [new Browser(), await startDevice(server.issuer)];
        if (isSignedIn) await signInElsewhere(browser, ALICE);
        const question = await enterCode(server.issuer, browser, device.userCode);
        const words = wordsOf(question);
        for (const part of ['Television', device.userCode, 'Confirm your identity', 'Read your notes'])
          assert.ok(words.includes(part), words);
        let done = await confirm(browser, question);
        if (!isSignedIn) {
          assert.match(done.html, /type="password"/);
          done = await browser.submit(done, { ...ALICE });
        }
        assert.match(done.html, /Continue on your device/, time);
        assert.equal(await personOf(device), 'Alice');
      }
      const browser = new Browser();
      await signInElsewhere(browser, ALICE);
      assert.match(wordsOf(await browser.visit(`${server.issuer}/apps`)), /Television Confirm your identity/);
    });
  }

  for (const clientId of ['tv', 'box']) {
    it(`The answer about a device does not count for an account that signed in after the page was shown (${clientId})`, async () => {
      const [browser, device] = [new Browser(), await startDevice(server.issuer, clientId)];
      const question = await enterCode(server.issuer, browser, device.userCode);
      await signInElsewhere(browser);
      const stale = await confirm(browser, question);
      assert.match(stale.html, /This page was out of date/);
      await assertWaiting(device);
      // The page that says so leads on to a question that names the account.
      const named = await browser.submit(stale, { user_code: device.userCode });
      assert.match(named.html, /admin@example\.com/);
      assert.match((await confirm(browser, named)).html, /Continue on your device/);
      assert.equal(await personOf(device), 'Admin');
    });

    it(`The answer about a device does not count for another account than the page named (${clientId})`, async () => {
      const [browser, device] = [new Browser(), await startDevice(server.issuer, clientId)];
      await signInElsewhere(browser, ALICE);
      const question = await enterCode(server.issuer, browser, device.userCode);
      assert.match(question.html, /alice@example\.com/);
      await signOutElsewhere(browser);
      await signInElsewhere(browser, ADMIN);
      assert.match((await confirm(browser, question)).html, /This page (is|was) out of date/);
      await assertWaiting(device);
    });

    it(`The server asks again about a device if another tab signs in while it waits for a sign-in (${clientId})`, async () => {
      const [browser, device] = [new Browser(), await startDevice(server.issuer, clientId)];
      const form = await confirm(browser, await enterCode(server.issuer, browser, device.userCode));
      assert.match(form.html, /type="password"/);
      const uid = new URL(form.url).pathname.split('/')[2] ?? '';
      await signInElsewhere(browser);
      // A reload keeps the form: nobody has said that the device is for who is signed in now.
      assert.match((await browser.visit(form.url)).html, /type="password"/);
      const again = await browser.visit(`${server.issuer}/device/${uid}`);
      assert.match(wordsOf(again), /^.*Allow .* to use your account\?.*admin@example\.com/);
      await assertWaiting(device);
      const next = new URL(again.url).pathname.split('/')[2] ?? '';
      assert.match((await browser.visit(`${server.issuer}/device/${next}`)).html, /value="allow"/);
      await assertWaiting(device);
    });

    it(`The answer about a device counts for the account that signs in with the device's own form (${clientId})`, async () => {
      const [browser, device] = [new Browser(), await startDevice(server.issuer, clientId)];
      const form = await confirm(browser, await enterCode(server.issuer, browser, device.userCode));
      await signInElsewhere(browser, ALICE);
      assert.match((await browser.submit(form, { ...ALICE })).html, /Continue on your device/);
      assert.equal(await personOf(device), 'Alice');
    });
  }

  const DEMANDS: Record<string, { parameters: Record<string, string>; after: number; isAsked: boolean }> = {
    'max_age=0': { parameters: { max_age: '0' }, after: 1, isAsked: true },
    'a max_age that has passed': { parameters: { max_age: '60' }, after: 70, isAsked: true },
    'a max_age that has not passed': { parameters: { max_age: '60' }, after: 10, isAsked: false },
  };
  for (const [name, { parameters, after, isAsked }] of Object.entries(DEMANDS)) {
    it(`The device page comes before the password if the device requires a new sign-in: ${name}`, async () => {
      const browser = new Browser();
      await signInElsewhere(browser, ALICE);
      travel(after);
      const device = await startDevice(server.issuer, 'tv', { scope: 'openid profile', ...parameters });
      let page = await confirm(browser, await enterCode(server.issuer, browser, device.userCode));
      assert.equal(page.html.includes('type="password"'), isAsked, page.html);
      if (isAsked) {
        await assertWaiting(device);
        page = await browser.submit(page, { ...ALICE });
      }
      assert.match(page.html, /Continue on your device/);
    });
  }

  it('A second device page names the account if another person signs in than the first page named', async () => {
    const browser = new Browser();
    await signInElsewhere(browser, ALICE);
    const device = await startDevice(server.issuer, 'tv', { scope: 'openid profile', max_age: '0' });
    const form = await confirm(browser, await enterCode(server.issuer, browser, device.userCode));
    let page = await browser.submit(form, { ...ADMIN });
    // The engine ends the session of the other person first, by a form that a script would send.
    if (page.html.includes('name="xsrf"')) page = await browser.submit(page, {});
    assert.match(wordsOf(page), /Allow Television to use your account\?.*admin@example\.com/);
    await assertWaiting(device);
    assert.match((await browser.submit(page, { decision: 'allow' })).html, /Continue on your device/);
    assert.equal(await personOf(device), 'Admin');
  });
});
