import assert from 'node:assert/strict';
import { Secret } from '../../src/config/secret.ts';
import { OPERATOR } from '../../src/limits/lane.ts';
import type { Domain } from '../../src/domain/domain.ts';
import { sqlite } from '../storage/backends.ts';
import { Browser } from '../support/browser.ts';
import { domainOn } from '../support/domain.ts';
import { CountingNode } from '../support/counting-node.ts';
import { authorizationRequest, refresh, tokenRequest, type Person } from '../support/flows.ts';
import { NodePair, type Holding } from './node-pair.ts';

/** How often anything may wait for the store in a row. */
const MOST = 20;
const NEXT = 'quite another phrase of somebody';

describe('The number of store operations in a row', function () {
  this.timeout(120_000);
  const counting = new CountingNode();
  let setup: NodePair;
  /** As a command has it. */
  let counted: Domain;
  let operations: Domain['operations'];
  let person: Person;
  let holdings: Holding[];
  let people = 0;

  before(async () => {
    setup = await NodePair.start(sqlite, undefined, counting.openStores);
    counted = domainOn(counting.around(setup.stores), setup.node.config);
    ({ operations } = counted);
  });
  after(() => setup.stop());
  beforeEach(async () => {
    people += 1;
    person = await setup.newPerson(`person-${people}`);
    holdings = [];
    // Three sessions, two apps in each.
    while (holdings.length < 6) {
      const here = await setup.holding({ person });
      holdings.push(here, await setup.holding({ person, browser: here.browser, client: 'demo-photos' }));
    }
  });

  const first = (): Holding => holdings[0] ?? assert.fail();

  async function assertFew(work: () => Promise<unknown>): Promise<void> {
    const turns = await counting.count(work);
    const inWords = turns.map((turn, at) => `${at + 1}. ${turn.join(', ')}`).join('\n');
    assert.ok(turns.length > 0, 'nothing was counted');
    assert.ok(turns.length <= MOST, `${turns.length} times:\n${inWords}`);
  }

  async function submit(path: string, fields: Record<string, string>): Promise<void> {
    const { browser } = first();
    const page = await browser.visit(setup.node.issuer + path);
    // The page that it leads to is another request.
    await assertFew(() => browser.submit(page, fields, setup.node.issuer + path));
  }

  it('A password change with three sessions and two apps in each waits for the store only a few times', () =>
    submit('/password', { current: person.password, next: NEXT, again: NEXT }));

  it('The end of other sessions waits for the store only a few times', () =>
    submit('/sessions', { session: 'others', confirm: 'yes' }));

  it('A withdrawn consent waits for the store only a few times', () =>
    submit('/apps', { app: 'demo-photos', confirm: 'yes' }));

  it('A sign-out waits for the store only a few times', () => submit('/logout', { logout: 'yes' }));

  it('A sign-in waits for the store only a few times', async () => {
    const browser = new Browser();
    const { url } = authorizationRequest(setup.node.issuer);
    const page = await browser.visit(url);
    await assertFew(() => browser.submit(page, { ...person }, `${setup.node.issuer}/authorize/`));
  });

  it('A refresh and the revocation of a refresh token wait for the store only a few times', async () => {
    const [one, other] = [first(), holdings[2] ?? assert.fail()];
    await assertFew(() => refresh(setup.node.issuer, other.refresh, { client_id: other.client }));
    const body = new URLSearchParams({ token: one.refresh, client_id: one.client });
    await assertFew(() => fetch(`${setup.node.issuer}/revoke`, { method: 'POST', body }));
  });

  it('A client credentials request waits for the store only a few times', () =>
    assertFew(() =>
      tokenRequest(setup.node.issuer, { grant_type: 'client_credentials' }, 'demo-service:demo-service-secret'),
    ));

  it('An operator’s password change waits for the store only a few times', async () => {
    const { store } = await counted.passwords.prepare(first().account, NEXT, OPERATOR);
    await assertFew(() => operations.changeCredentials(first().account, 'password-changed', { store }));
  });

  it('The disabling of an account waits for the store only a few times', () =>
    assertFew(() => operations.disableAccount(first().account)));

  it('The removal of an account waits for the store only a few times', () =>
    assertFew(() => operations.removeAccount(first().account)));

  it('The removal of a role waits for the store only a few times', () =>
    assertFew(() => operations.removeRole(first().account, () => Promise.resolve())));

  it('The disabling of a client waits for the store only a few times', async () => {
    await assertFew(() => operations.disableClient('demo-photos'));
    await setup.domain.clients.enable('demo-photos');
  });

  it('The removal of a client with tokens waits for the store only a few times', async () => {
    const machine = setup.node.config.clients.find(({ client_id: id }) => id === 'demo-service') ?? assert.fail();
    const client = { ...machine, client_id: 'of-the-store', secret: new Secret('of-the-store-secret') };
    assert.ok(await setup.domain.clients.save(client));
    const token = await setup.machineToken('of-the-store:of-the-store-secret');
    await assertFew(async () => assert.ok(await operations.removeClient('of-the-store')));
    assert.equal(await setup.isActive(token), false);
  });
});
