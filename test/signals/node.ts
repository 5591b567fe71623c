/** A node that tells, in a process of its own, so that it can be killed. Ends when its parent lets go of it. */
import { startTestServer } from '../support/server.ts';
import { withSignals } from './signals-setup.ts';

const { store, allow, ...sameAs } = JSON.parse(process.argv[2] ?? '{}') as {
  directory: string;
  issuer: string;
  store: string;
  allow: string[];
};
const server = await startTestServer({ sameAs, store, change: withSignals({ allow }) });
process.once('disconnect', () => void server.close());
process.send?.('listening');
