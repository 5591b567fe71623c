/** One node of a test server; see `server-process.ts`. Ends when its parent lets go of it. */
import type { NodeOf } from './server-process.ts';
import { startTestServer } from './server.ts';

const { port, store, keys, tokens, ...sameAs } = JSON.parse(process.argv[2] ?? '{}') as NodeOf & { port: number };
const server = await startTestServer({
  sameAs,
  store,
  port,
  change: (config) => ({
    ...config,
    keys: { ...config.keys, ...keys },
    tokens: { ...config.tokens, ...tokens },
    listen: { ...config.listen, aliases: [`localhost:${port}`] },
  }),
});
process.once('disconnect', () => void server.close());
process.send?.('listening');
