import assert from 'node:assert/strict';
import { decodeProtectedHeader } from 'jose';
import { startTwoNodes, type TwoNodes } from '../soak/two-nodes.ts';
import { tokenRequest } from '../support/flows.ts';
import { until } from '../support/until.ts';

/** Keys turn faster than a configuration may ask for; a node may trust its last look at them for a second. */
const FAST = { algorithms: ['ES256' as const], sign: 0.9, announce: 2, clock_skew: 0.5, jwks_max_age: 0.5 };

describe('A node whose machine was paused', function () {
  this.timeout(120_000);
  let server: TwoNodes;
  before(async () => {
    server = await startTwoNodes({ keys: FAST });
  });
  after(() => server.stop());

  async function signedBy(url: string): Promise<string> {
    const asked = { grant_type: 'client_credentials', scope: 'notes:read' };
    const { body } = await tokenRequest(url, asked, 'demo-service:demo-service-secret');
    return decodeProtectedHeader(String(body['access_token'])).kid ?? assert.fail();
  }

  async function publishedBy(url: string): Promise<string[]> {
    const { keys } = (await (await fetch(`${url}/jwks`)).json()) as { keys: { kid: string }[] };
    return keys.map(({ kid }) => kid);
  }

  it('A node that was paused publishes the new signing key at its first response after the pause', async () => {
    const [first, paused] = server.nodes;
    const before = await publishedBy(paused.url);
    paused.signal('SIGSTOP');
    let signer = '';
    const answers = await (async () => {
      try {
        await until(async () => !before.includes((signer = await signedBy(first.url))));
        // They wait in the socket, so the node reads them before it hears of anything else.
        return [publishedBy(paused.url), publishedBy(paused.url)];
      } finally {
        paused.signal('SIGCONT');
      }
    })();
    for (const kids of await Promise.all(answers))
      assert.ok(kids.includes(signer), `${signer} is not of ${String(kids)}`);
  });
});
