import assert from 'node:assert/strict';
import { OPERATOR } from '../../src/limits/lane.ts';
import {
  ADMIN,
  authorizationRequest,
  exchangeCode,
  refresh,
  signIn,
  tokenRequest,
  tokensFor,
} from '../support/flows.ts';
import { Browser } from '../support/browser.ts';
import { openIssuers } from '../../src/issuers/issuers.ts';
import { issuerSchema } from '../../src/config/sections/issuer-schema.ts';
import { foreignIssuer, JWT_BEARER } from '../grants/jwt-bearer/foreign-issuer.ts';
import type { Config } from '../../src/config/schema.ts';
import { Secret } from '../../src/config/secret.ts';
import { until } from '../support/until.ts';
import { serverStores } from '../oidc/server-stores.ts';
import { startLogoutReceiver, type LogoutReceiver } from '../oidc/logout-receiver.ts';
import { ALL, NOTHING, SESSION_ALONE, NodePair, type Holding } from './node-pair.ts';

const done = (): Promise<void> => Promise.resolve();

for (const backend of serverStores) {
  describe(`The causes of revocations on ${backend.name}`, function () {
    this.timeout(60_000);
    let setup: NodePair;
    let receiver: LogoutReceiver;
    let here: Holding;
    let elsewhere: Holding;
    let stranger: Holding;

    /** One of the apps is told by the server when a session ends, and the machine may bring tokens of others. */
    const listening = (config: Config): Config => ({
      ...config,
      outgoing: { allow: [receiver.host] },
      clients: config.clients.map((client) => {
        if (client.client_id === 'demo-photos') return { ...client, backchannel_logout_uri: receiver.uri };
        if (client.type !== 'machine') return client;
        return { ...client, grant_types: ['client_credentials', JWT_BEARER] };
      }),
    });

    before(async () => {
      receiver = await startLogoutReceiver();
      setup = await NodePair.start(backend, listening);
      stranger = await setup.holding({ person: ADMIN });
    });
    after(async () => {
      await setup.stop();
      await receiver.close();
    });
    beforeEach(async () => {
      [here, elsewhere] = await Promise.all([setup.holding(), setup.holding()]);
      assert.deepEqual(await setup.left(here), ALL);
    });
    /** Whatever it was, it was nobody else's. */
    afterEach(async () => {
      assert.deepEqual(await setup.left(stranger), ALL);
    });

    it('A sign-out at the server ends that session, its apps and their tokens', async () => {
      const photos = await setup.holding({ browser: here.browser, client: 'demo-photos' });
      const told = receiver.received.length;
      const question = await here.browser.visit(`${setup.node.issuer}/logout`);
      await here.browser.submit(question, { logout: 'yes' });
      assert.equal(receiver.received.length, told + 1);
      for (const holding of [here, photos]) assert.deepEqual(await setup.left(holding), NOTHING);
      assert.deepEqual(await setup.left(elsewhere), ALL);
    });

    it('A sign-out spares the tokens of an app with offline access', async () => {
      const offline = { scope: 'openid offline_access notes:read', prompt: 'consent' };
      const { browser } = here;
      const options = { browser, clientId: 'demo-photos', parameters: offline };
      const { access_token = '', refresh_token = '' } = await tokensFor(setup.node.issuer, options);
      const question = await browser.visit(`${setup.node.issuer}/logout`);
      await browser.submit(question, { logout: 'yes' });
      assert.deepEqual(await setup.left(here), NOTHING);
      assert.ok((await setup.isActive(access_token)) && (await setup.isActive(refresh_token)));
      // An account that ends leaves nothing.
      await setup.operations.changeCredentials(here.account, 'password-changed', { store: done });
      assert.ok(!(await setup.isActive(access_token)) && !(await setup.isActive(refresh_token)));
    });

    it('The repeated use of a code revokes the tokens that were issued for it', async () => {
      const { issuer } = setup.node;
      const request = authorizationRequest(issuer, 'demo-notes', { scope: 'openid notes:read' });
      const callback = await signIn(new Browser(), request);
      const { body } = await exchangeCode(issuer, request, callback);
      assert.ok(await setup.isActive(String(body['access_token'])));
      assert.equal((await exchangeCode(issuer, request, callback)).status, 400);
      for (const name of ['access_token', 'refresh_token'])
        assert.equal(await setup.isActive(String(body[name])), false, name);
      assert.deepEqual(await setup.left(here), ALL);
    });

    it('The late replay of a refresh token revokes its family', async () => {
      const { body: next } = await refresh(setup.node.issuer, here.refresh);
      await refresh(setup.node.issuer, String(next['refresh_token']));
      assert.equal((await refresh(setup.node.issuer, here.refresh)).status, 400);
      assert.deepEqual(await setup.left(here), SESSION_ALONE);
      assert.equal(await setup.isActive(String(next['access_token'])), false);
      assert.deepEqual(await setup.left(elsewhere), ALL);
    });

    it('A session that its owner ends from another browser ends with its apps, which get a logout token', async () => {
      await setup.holding({ browser: here.browser, client: 'demo-photos' });
      const told = receiver.received.length;
      await setup.operations.endSession(await setup.sessionOf(here));
      assert.deepEqual(await setup.left(here), NOTHING);
      assert.deepEqual(await setup.left(elsewhere), ALL);
      await receiver.whenReceived(told + 1);
    });

    it('A password change ends all sessions but its own, whose apps get new tokens silently', async () => {
      const exceptSession = await setup.sessionOf(here);
      await setup.operations.changeCredentials(here.account, 'password-changed', { store: done, exceptSession });
      assert.deepEqual(await setup.left(here), SESSION_ALONE);
      assert.deepEqual(await setup.left(elsewhere), NOTHING);
      assert.deepEqual(await setup.left(await setup.holding({ browser: here.browser })), ALL);
    });

    it('The change of another factor ends every session', async () => {
      await setup.operations.changeCredentials(here.account, 'factor-changed', { store: done });
      for (const holding of [here, elsewhere]) assert.deepEqual(await setup.left(holding), NOTHING);
    });

    it('A withdrawn consent ends the access of one app, which gets a logout token, but not the session', async () => {
      const photos = await setup.holding({ browser: here.browser, client: 'demo-photos' });
      const told = receiver.received.length;
      await setup.operations.withdrawConsent(here.account, 'demo-photos');
      assert.deepEqual(await setup.left(photos), SESSION_ALONE);
      for (const holding of [here, elsewhere]) assert.deepEqual(await setup.left(holding), ALL);
      await receiver.whenReceived(told + 1);
    });

    it('An account that is disabled loses all sessions and tokens for good', async () => {
      assert.ok(await setup.operations.disableAccount(here.account));
      for (const holding of [here, elsewhere]) assert.deepEqual(await setup.left(holding), NOTHING);
      await setup.accounts.enable(here.account);
      for (const holding of [here, elsewhere]) assert.deepEqual(await setup.left(holding), NOTHING);
      assert.deepEqual(await setup.left(await setup.holding()), ALL);
    });

    it('An account that is deleted loses all sessions and tokens, and its address becomes free', async () => {
      const person = { email: 'carol@example.com', name: 'Carol', password: 'carol-latchkey-demo' };
      const browser = new Browser();
      const page = await browser.visit(authorizationRequest(setup.node.issuer).url);
      const at = `http://localhost:${Number(new URL(setup.node.issuer).port) + 1}`;
      await browser.submit(await browser.visit(`${page.url}/sign-up`), person, at);
      const carol = await setup.holding({ person, browser });
      const { consents, passwords } = setup.domain;
      await consents.remember(carol.account, 'demo-photos', { scopes: ['openid'], resources: {} });
      const left = async () => ({
        isRight: await passwords.verify(carol.account, person.password, OPERATOR),
        isAllowed: (await consents.find(carol.account, 'demo-photos')) !== undefined,
      });
      assert.deepEqual(await left(), { isRight: 'right', isAllowed: true });
      assert.ok(await setup.operations.removeAccount(carol.account));
      assert.deepEqual(await left(), { isRight: 'wrong', isAllowed: false });
      assert.deepEqual(await setup.left(carol), NOTHING);
      assert.equal(await setup.accounts.findByEmail(person.email), undefined);
      assert.equal(await setup.operations.removeAccount(carol.account), false);
      assert.deepEqual(await setup.left(here), ALL);
    });

    it('A client that is disabled loses its tokens, and gets no others until it is enabled', async () => {
      const [photos, machine] = [await setup.holding({ client: 'demo-photos' }), await setup.machineToken()];
      const { clients } = setup.domain;
      await setup.operations.disableClient('demo-photos');
      const request = authorizationRequest(setup.other, 'demo-photos');
      assert.equal((await fetch(request.url, { redirect: 'manual' })).status, 400);
      assert.equal((await refresh(setup.other, photos.refresh, { client_id: 'demo-photos' })).status, 401);
      await clients.enable('demo-photos');
      assert.deepEqual(await setup.left(photos), SESSION_ALONE);
      assert.deepEqual(await setup.left(await setup.holding({ client: 'demo-photos' })), ALL);
      assert.deepEqual(await setup.left(here), ALL);
      assert.ok(await setup.isActive(machine));
    });

    it('A new client secret revokes the tokens that a machine client got before', async () => {
      const before = await setup.machineToken();
      await setup.operations.rollClientSecret('demo-service', done);
      assert.equal(await setup.isActive(before), false);
      assert.ok(await setup.isActive(await setup.machineToken()));
      assert.deepEqual(await setup.left(here), ALL);
    });

    it('A client that is removed loses its tokens', async () => {
      const { clients } = setup.domain;
      const machine = setup.node.config.clients.find(({ client_id: id }) => id === 'demo-service');
      assert.ok(machine);
      await clients.save({ ...machine, client_id: 'of-the-store', secret: new Secret('of-the-store-secret') });
      const [its, other] = [await setup.machineToken('of-the-store:of-the-store-secret'), await setup.machineToken()];
      assert.ok(await setup.isActive(its));
      assert.ok(await setup.operations.removeClient('of-the-store'));
      assert.equal(await setup.isActive(its), false);
      assert.equal(await setup.operations.removeClient('demo-service'), false, 'it is of the configuration');
      assert.ok(await setup.isActive(other));
    });

    it('The removal of a trusted issuer revokes the tokens for its assertions, and no others', async () => {
      const issuers = openIssuers({ records: setup.stores.records, configured: [] });
      const [partner, other] = ['partner', 'other'].map((name) =>
        foreignIssuer(`https://${name}.example`, setup.node.issuer),
      );
      assert.ok(partner && other);
      for (const { issuer, jwk } of [partner, other]) {
        const subject = { is: 'account', links: { 'their-admin': 'admin@example.com' } };
        const of = { jwks: { keys: [jwk] }, clients: ['demo-service'], scopes: ['notes:read'] };
        const resources = setup.node.config.resources.map(({ identifier }) => identifier);
        await issuers.save(issuerSchema.parse({ issuer, ...of, resources, subject }));
      }
      const tokenFor = async (from: typeof partner): Promise<string> => {
        const form = { grant_type: JWT_BEARER, assertion: from.assertion({ sub: 'their-admin' }), scope: 'notes:read' };
        return String(
          (await tokenRequest(setup.node.issuer, form, 'demo-service:demo-service-secret')).body['access_token'],
        );
      };
      const [theirs, others] = [await tokenFor(partner), await tokenFor(other)];
      assert.ok((await setup.isActive(theirs)) && (await setup.isActive(others)));
      assert.ok(await setup.operations.removeIssuer(partner.issuer));
      assert.equal(await setup.isActive(theirs), false);
      assert.ok(await setup.isActive(others));
      await setup.operations.endBefore({ account: stranger.account });
      assert.equal(await setup.isActive(others), false, 'it ends with the account that it stands for');
      stranger = await setup.holding({ person: ADMIN });
    });

    it('A revocation of an account before an instant ends what began earlier, and nothing later', async () => {
      const before = Date.now();
      const later = await setup.holding();
      await setup.operations.endBefore({ account: here.account }, before);
      for (const holding of [here, elsewhere]) assert.deepEqual(await setup.left(holding), NOTHING);
      assert.deepEqual(await setup.left(later), ALL);
    });

    it('A revocation of a client before an instant ends what began earlier, and nothing later', async () => {
      const early = await setup.machineToken();
      const before = Date.now() + 1;
      await until(() => Date.now() > before);
      const late = await setup.machineToken();
      await setup.operations.endBefore({ client: 'demo-service' }, before);
      assert.equal(await setup.isActive(early), false);
      assert.ok(await setup.isActive(late));
    });

    it('A revocation for everybody before an instant ends what began earlier, and nothing later', async () => {
      const machine = await setup.machineToken();
      const before = Date.now() + 1;
      await until(() => Date.now() > before);
      const [later, lateMachine] = [await setup.holding(), await setup.machineToken()];
      const earlyStranger = stranger;
      stranger = await setup.holding({ person: ADMIN });
      await setup.operations.endBefore('everybody', before);
      for (const holding of [here, elsewhere, earlyStranger]) assert.deepEqual(await setup.left(holding), NOTHING);
      assert.equal(await setup.isActive(machine), false);
      assert.deepEqual(await setup.left(later), ALL);
      assert.ok(await setup.isActive(lateMachine));
      assert.equal(
        (
          await tokenRequest(setup.node.issuer, {
            grant_type: 'refresh_token',
            client_id: 'demo-notes',
            refresh_token: here.refresh,
          })
        ).status,
        400,
      );
    });
  });
}
