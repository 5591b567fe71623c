/** One node of a test server; see `server-process.ts`. Ends when its parent lets go of it. */
import { Secret } from '../../src/config/secret.ts';
import { travel } from './clock.ts';
import type { NodeOf } from './server-process.ts';
import { startTestServer } from './server.ts';
import { PIN } from './softhsm.ts';

const { port, store, records, statusLists, keys, tokens, ahead, durability, ...sameAs } = JSON.parse(
  process.argv[2] ?? '{}',
) as NodeOf & {
  port: number;
};
// A machine whose clock can be wrong, which the time of the store is not.
if (ahead !== undefined) travel(ahead);
process.on('message', (seconds) => {
  travel(Number(seconds));
});
const server = await startTestServer({
  ...(ahead !== undefined && { clock: 'of the store' }),
  sameAs,
  store,
  port,
  change: (config) => ({
    ...config,
    // A secret does not travel as JSON.
    keys: { ...config.keys, ...keys, ...(keys?.pkcs11 && { pkcs11: { ...keys.pkcs11, pin: new Secret(PIN) } }) },
    tokens: { ...config.tokens, ...tokens },
    stores: { ...config.stores, ...(records !== undefined && { records }), ...(durability && { durability }) },
    status_lists: { ...config.status_lists, ...statusLists },
    listen: { ...config.listen, aliases: [`localhost:${port}`] },
  }),
});
process.once('disconnect', () => void server.close());
process.send?.('listening');
