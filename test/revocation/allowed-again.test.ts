import assert from 'node:assert/strict';
import { decodeJwt } from 'jose';
import type { AccountId } from '../../src/lib/ids.ts';
import { openStores } from '../../src/storage/open-stores.ts';
import { sqlite } from '../storage/backends.ts';
import { Browser } from '../support/browser.ts';
import { answerAtOnce, authorizationRequest, refresh, tokensFor } from '../support/flows.ts';
import { domainOn } from '../support/domain.ts';
import { startTestServer } from '../support/server.ts';
import { until } from '../support/until.ts';
import { NodePair } from './node-pair.ts';

describe('An app that a person allows again at once', () => {
  let setup: NodePair;
  before(async () => {
    setup = await NodePair.start(sqlite);
  });
  after(() => setup.stop());

  it('Tokens that an app gets after its consent was withdrawn and given again survive the revocation’s later steps', async () => {
    const { issuer } = setup.node;
    const before = await setup.holding();
    await setup.operations.withdrawConsent(before.account, before.client);
    const again = await setup.holding({ browser: before.browser });
    // One look for what was half-way is over; the later ones are no different.
    const looked = async (): Promise<boolean> => {
      const { keys } = await setup.stores.grants.members<{ done: number }>('revocations');
      return (await setup.stores.grants.getMany(keys)).every((stored) => (stored?.value.done ?? 3) >= 3);
    };
    await until(looked);
    assert.equal((await refresh(issuer, before.refresh)).status, 400);
    assert.equal((await refresh(issuer, again.refresh)).status, 200);
  });
});

describe('A sign-in at the instant of a revocation', () => {
  it('A sign-in at the instant of a revocation keeps its session and tokens, and everything older ends', async () => {
    let now = Date.now();
    const clock = { now: () => now };
    await using server = await startTestServer({ clock });
    const stores = await openStores(server.config.stores, clock);
    try {
      const { operations } = domainOn(stores, server.config);
      const signedIn = async () => {
        const browser = new Browser();
        return { browser, tokens: await tokensFor(server.issuer, { browser }) };
      };
      const isGood = async ({ browser, tokens }: Awaited<ReturnType<typeof signedIn>>) => {
        const silent = authorizationRequest(server.issuer, 'demo-notes', { prompt: 'none' });
        const answers = [
          'code' in (await answerAtOnce(browser, silent)),
          (await refresh(server.issuer, tokens['refresh_token'])).status === 200,
        ];
        assert.equal(answers[0], answers[1]);
        return answers[0];
      };
      const earlier = await signedIn();
      const account = decodeJwt(earlier.tokens['id_token'] ?? '').sub as AccountId;
      now += 1;
      await operations.changeCredentials(account, 'password-changed', { store: () => Promise.resolve() });
      const atOnce = await signedIn();
      assert.deepEqual([await isGood(earlier), await isGood(atOnce)], [false, true]);
    } finally {
      await stores.close();
    }
  });
});
