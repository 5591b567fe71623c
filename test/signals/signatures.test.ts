import assert from 'node:assert/strict';
import type { Config } from '../../src/config/schema.ts';
import { returnToPresent, travel } from '../support/clock.ts';
import { keysCommand } from '../support/keys-command.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { freshToken, withoutHsm } from '../support/softhsm.ts';
import {
  accountId,
  ACCOUNT_DISABLED,
  event,
  publish,
  Receiver,
  verifySet,
  withSignals,
  type Set,
} from './signals-setup.ts';
import { until } from '../support/until.ts';

describe('The signature of an event', () => {
  let server: TestServer;
  let receiver: Receiver;
  let stream: string;

  async function start(change: (config: Config) => Config = withSignals()): Promise<void> {
    server = await startTestServer({ change });
    receiver = await Receiver.of(server.issuer, 'watch');
    stream = await receiver.stream({ events_requested: [ACCOUNT_DISABLED] });
    const alice = await accountId(server, 'alice@example.com');
    await publish(server.config, event(alice, { type: 'account-disabled' }));
  }

  afterEach(async () => {
    returnToPresent();
    await server.close();
  });

  async function next(): Promise<Set> {
    const [token = ''] = Object.values((await receiver.poll(stream)).sets);
    return verifySet(server.issuer, token, 'watch');
  }

  it('The server signs an event when it delivers it, so a key that was revoked meanwhile is no problem', async () => {
    await start();
    const before = await next();
    const kid = before.header.kid ?? '';
    await keysCommand({ ...server, store: server.config.stores.grants }, 'revoke', '--yes', '--', kid);
    await until(async () => !(await (await fetch(`${server.issuer}/jwks`)).text()).includes(kid));
    const after = await next();
    assert.notEqual(after.header.kid, kid);
    assert.deepEqual(after.claims, before.claims);
  });

  it('The server signs events with another algorithm if the key ring has no RS256', async () => {
    await start((config) => ({ ...withSignals()(config), keys: { ...config.keys, algorithms: ['ES256'] } }));
    assert.equal((await next()).header.alg, 'ES256');
  });

  it('The HSM signs events if it has the keys, and events wait while the HSM is unreachable', async () => {
    const pkcs11 = freshToken();
    await start((config) => ({ ...withSignals()(config), keys: { ...config.keys, signer: 'pkcs11', pkcs11 } }));
    assert.equal((await next()).header.alg, 'RS256');
    travel(2);
    await withoutHsm(async () => {
      const { status, headers } = await receiver.call('POST', `/ssf/poll/${stream}`, { returnImmediately: true });
      assert.deepEqual([status, headers.get('retry-after')], [503, '5']);
    });
    travel(2);
    assert.equal((await next()).type, ACCOUNT_DISABLED);
  });
});
