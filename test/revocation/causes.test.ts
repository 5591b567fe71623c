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
import { ALL, NOTHING, SESSION_ALONE, World, type Holding } from './world.ts';

const done = (): Promise<void> => Promise.resolve();

for (const backend of serverStores) {
  describe(`What is revoked on ${backend.name}`, function () {
    this.timeout(60_000);
    let world: World;
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
      world = await World.start(backend, listening);
      stranger = await world.holding({ person: ADMIN });
    });
    after(async () => {
      await world.stop();
      await receiver.close();
    });
    beforeEach(async () => {
      [here, elsewhere] = await Promise.all([world.holding(), world.holding()]);
      assert.deepEqual(await world.left(here), ALL);
    });
    /** Whatever it was, it was nobody else's. */
    afterEach(async () => {
      assert.deepEqual(await world.left(stranger), ALL);
    });

    it('ends with a sign-out at the server: that session, its apps and their tokens', async () => {
      const photos = await world.holding({ browser: here.browser, client: 'demo-photos' });
      const told = receiver.received.length;
      const question = await here.browser.visit(`${world.node.issuer}/logout`);
      await here.browser.submit(question, { logout: 'yes' });
      assert.equal(receiver.received.length, told + 1);
      for (const holding of [here, photos]) assert.deepEqual(await world.left(holding), NOTHING);
      assert.deepEqual(await world.left(elsewhere), ALL);
    });

    it('leaves what an app may do offline with a sign-out, and its tokens', async () => {
      const offline = { scope: 'openid offline_access notes:read', prompt: 'consent' };
      const { browser } = here;
      const options = { browser, clientId: 'demo-photos', parameters: offline };
      const { access_token = '', refresh_token = '' } = await tokensFor(world.node.issuer, options);
      const question = await browser.visit(`${world.node.issuer}/logout`);
      await browser.submit(question, { logout: 'yes' });
      assert.deepEqual(await world.left(here), NOTHING);
      assert.ok((await world.isActive(access_token)) && (await world.isActive(refresh_token)));
      // An account that ends leaves nothing.
      await world.operations.changeCredentials(here.account, 'password-changed', { store: done });
      assert.ok(!(await world.isActive(access_token)) && !(await world.isActive(refresh_token)));
    });

    it('ends with a code that comes twice: what came of it', async () => {
      const { issuer } = world.node;
      const request = authorizationRequest(issuer, 'demo-notes', { scope: 'openid notes:read' });
      const callback = await signIn(new Browser(), request);
      const { body } = await exchangeCode(issuer, request, callback);
      assert.ok(await world.isActive(String(body['access_token'])));
      assert.equal((await exchangeCode(issuer, request, callback)).status, 400);
      for (const name of ['access_token', 'refresh_token'])
        assert.equal(await world.isActive(String(body[name])), false, name);
      assert.deepEqual(await world.left(here), ALL);
    });

    it('ends with a refresh token that comes again too late: its family', async () => {
      const { body: next } = await refresh(world.node.issuer, here.refresh);
      await refresh(world.node.issuer, String(next['refresh_token']));
      assert.equal((await refresh(world.node.issuer, here.refresh)).status, 400);
      assert.deepEqual(await world.left(here), SESSION_ALONE);
      assert.equal(await world.isActive(String(next['access_token'])), false);
      assert.deepEqual(await world.left(elsewhere), ALL);
    });

    it('ends with a session that its owner ends from another place: it and its apps, which a node tells', async () => {
      await world.holding({ browser: here.browser, client: 'demo-photos' });
      const told = receiver.received.length;
      await world.operations.endSession(await world.sessionOf(here));
      assert.deepEqual(await world.left(here), NOTHING);
      assert.deepEqual(await world.left(elsewhere), ALL);
      await receiver.whenReceived(told + 1);
    });

    it('ends with a changed password: all but the session in which it was changed, whose apps come by it anew', async () => {
      const exceptSession = await world.sessionOf(here);
      await world.operations.changeCredentials(here.account, 'password-changed', { store: done, exceptSession });
      assert.deepEqual(await world.left(here), SESSION_ALONE);
      assert.deepEqual(await world.left(elsewhere), NOTHING);
      assert.deepEqual(await world.left(await world.holding({ browser: here.browser })), ALL);
    });

    it('ends with a factor that is changed elsewhere: every session', async () => {
      await world.operations.changeCredentials(here.account, 'factor-changed', { store: done });
      for (const holding of [here, elsewhere]) assert.deepEqual(await world.left(holding), NOTHING);
    });

    it('ends with consent that is withdrawn: one app, everywhere, which is told, and not the session', async () => {
      const photos = await world.holding({ browser: here.browser, client: 'demo-photos' });
      const told = receiver.received.length;
      await world.operations.withdrawConsent(here.account, 'demo-photos');
      assert.deepEqual(await world.left(photos), SESSION_ALONE);
      for (const holding of [here, elsewhere]) assert.deepEqual(await world.left(holding), ALL);
      await receiver.whenReceived(told + 1);
    });

    it('ends with a disabled account: all that it had, for good', async () => {
      assert.ok(await world.operations.disableAccount(here.account));
      for (const holding of [here, elsewhere]) assert.deepEqual(await world.left(holding), NOTHING);
      await world.accounts.enable(here.account);
      for (const holding of [here, elsewhere]) assert.deepEqual(await world.left(holding), NOTHING);
      assert.deepEqual(await world.left(await world.holding()), ALL);
    });

    it('ends with a deleted account: all that it had, and its address is free', async () => {
      const person = { email: 'carol@example.com', name: 'Carol', password: 'carol-latchkey-demo' };
      const browser = new Browser();
      const page = await browser.visit(authorizationRequest(world.node.issuer).url);
      const at = `http://localhost:${Number(new URL(world.node.issuer).port) + 1}`;
      await browser.submit(await browser.visit(`${page.url}/sign-up`), person, at);
      const carol = await world.holding({ person, browser });
      const { consents, passwords } = world.domain;
      await consents.remember(carol.account, 'demo-photos', { scopes: ['openid'], resources: {} });
      const left = async () => ({
        isRight: await passwords.verify(carol.account, person.password, OPERATOR),
        isAllowed: (await consents.find(carol.account, 'demo-photos')) !== undefined,
      });
      assert.deepEqual(await left(), { isRight: 'right', isAllowed: true });
      assert.ok(await world.operations.removeAccount(carol.account));
      assert.deepEqual(await left(), { isRight: 'wrong', isAllowed: false });
      assert.deepEqual(await world.left(carol), NOTHING);
      assert.equal(await world.accounts.findByEmail(person.email), undefined);
      assert.equal(await world.operations.removeAccount(carol.account), false);
      assert.deepEqual(await world.left(here), ALL);
    });

    it('ends with a disabled client: its tokens, and that it gets more, until it is enabled', async () => {
      const [photos, machine] = [await world.holding({ client: 'demo-photos' }), await world.machineToken()];
      const { clients } = world.domain;
      await world.operations.disableClient('demo-photos');
      const request = authorizationRequest(world.other, 'demo-photos');
      assert.equal((await fetch(request.url, { redirect: 'manual' })).status, 400);
      assert.equal((await refresh(world.other, photos.refresh, { client_id: 'demo-photos' })).status, 401);
      await clients.enable('demo-photos');
      assert.deepEqual(await world.left(photos), SESSION_ALONE);
      assert.deepEqual(await world.left(await world.holding({ client: 'demo-photos' })), ALL);
      assert.deepEqual(await world.left(here), ALL);
      assert.ok(await world.isActive(machine));
    });

    it('ends with a client’s secret that has leaked: a machine’s tokens until then', async () => {
      const before = await world.machineToken();
      await world.operations.rollClientSecret('demo-service', done);
      assert.equal(await world.isActive(before), false);
      assert.ok(await world.isActive(await world.machineToken()));
      assert.deepEqual(await world.left(here), ALL);
    });

    it('ends with a client that is removed: its tokens', async () => {
      const { clients } = world.domain;
      const machine = world.node.config.clients.find(({ client_id: id }) => id === 'demo-service');
      assert.ok(machine);
      await clients.save({ ...machine, client_id: 'of-the-store', secret: new Secret('of-the-store-secret') });
      const [its, other] = [await world.machineToken('of-the-store:of-the-store-secret'), await world.machineToken()];
      assert.ok(await world.isActive(its));
      assert.ok(await world.operations.removeClient('of-the-store'));
      assert.equal(await world.isActive(its), false);
      assert.equal(await world.operations.removeClient('demo-service'), false, 'it is of the configuration');
      assert.ok(await world.isActive(other));
    });

    it('ends with a trusted issuer that is removed: what was issued for its tokens, and no other issuer’s', async () => {
      const issuers = openIssuers({ records: world.stores.records, configured: [] });
      const [partner, other] = ['partner', 'other'].map((name) =>
        foreignIssuer(`https://${name}.example`, world.node.issuer),
      );
      assert.ok(partner && other);
      for (const { issuer, jwk } of [partner, other]) {
        const subject = { is: 'account', links: { 'their-admin': 'admin@example.com' } };
        const of = { jwks: { keys: [jwk] }, clients: ['demo-service'], scopes: ['notes:read'] };
        const resources = world.node.config.resources.map(({ identifier }) => identifier);
        await issuers.save(issuerSchema.parse({ issuer, ...of, resources, subject }));
      }
      const tokenFor = async (from: typeof partner): Promise<string> => {
        const form = { grant_type: JWT_BEARER, assertion: from.assertion({ sub: 'their-admin' }), scope: 'notes:read' };
        return String(
          (await tokenRequest(world.node.issuer, form, 'demo-service:demo-service-secret')).body['access_token'],
        );
      };
      const [theirs, others] = [await tokenFor(partner), await tokenFor(other)];
      assert.ok((await world.isActive(theirs)) && (await world.isActive(others)));
      assert.ok(await world.operations.removeIssuer(partner.issuer));
      assert.equal(await world.isActive(theirs), false);
      assert.ok(await world.isActive(others));
      await world.operations.endBefore({ account: stranger.account });
      assert.equal(await world.isActive(others), false, 'it ends with the account that it stands for');
      stranger = await world.holding({ person: ADMIN });
    });

    it('ends with an instant for one account: what began before it, and nothing later', async () => {
      const before = Date.now();
      const later = await world.holding();
      await world.operations.endBefore({ account: here.account }, before);
      for (const holding of [here, elsewhere]) assert.deepEqual(await world.left(holding), NOTHING);
      assert.deepEqual(await world.left(later), ALL);
    });

    it('ends with an instant for one client: what began before it, and nothing later', async () => {
      const early = await world.machineToken();
      const before = Date.now() + 1;
      await until(() => Date.now() > before);
      const late = await world.machineToken();
      await world.operations.endBefore({ client: 'demo-service' }, before);
      assert.equal(await world.isActive(early), false);
      assert.ok(await world.isActive(late));
    });

    it('ends with an instant for everybody: what began before it, and nothing later', async () => {
      const machine = await world.machineToken();
      const before = Date.now() + 1;
      await until(() => Date.now() > before);
      const [later, lateMachine] = [await world.holding(), await world.machineToken()];
      const earlyStranger = stranger;
      stranger = await world.holding({ person: ADMIN });
      await world.operations.endBefore('everybody', before);
      for (const holding of [here, elsewhere, earlyStranger]) assert.deepEqual(await world.left(holding), NOTHING);
      assert.equal(await world.isActive(machine), false);
      assert.deepEqual(await world.left(later), ALL);
      assert.ok(await world.isActive(lateMachine));
      assert.equal(
        (
          await tokenRequest(world.node.issuer, {
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
