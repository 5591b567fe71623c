import assert from 'node:assert/strict';
import { startDemo } from '../../src/demo/demo.ts';
import { freePort } from '../support/free-port.ts';

const HOST = '127.0.0.1';

describe('The demo', () => {
  /** The demo beside a server's port. */
  async function withDemo(use: (port: number) => Promise<void>): Promise<void> {
    const port = await freePort(4);
    const demo = await startDemo({ port, issuer: `http://${HOST}:${port}`, host: HOST });
    await use(port).finally(() => demo.close());
  }

  const statusOf = async (port: number, path: string): Promise<number> => {
    const response = await fetch(`http://${HOST}:${port}${path}`);
    await response.body?.cancel();
    return response.status;
  };

  it('The demo serves Notes, Photos and the API on the three ports after the server’s port', async () => {
    await withDemo(async (port) => {
      const origin = (offset: number): string => `http://${HOST}:${port + offset}`;
      const shared = { issuer: origin(0), api: origin(3), scope: 'openid profile email roles notes:read' };
      const notes = { name: 'Notes', origin: origin(1) };
      const photos = { name: 'Photos', origin: origin(2) };
      const config = async (offset: number): Promise<unknown> => (await fetch(`${origin(offset)}/config.json`)).json();
      assert.deepEqual(await config(1), { ...shared, ...notes, clientId: 'demo-notes', other: photos });
      assert.deepEqual(await config(2), { ...shared, ...photos, clientId: 'demo-photos', other: notes });
      assert.equal(await statusOf(port + 3, '/me'), 401);
    });
  });

  it('The demo closes all its ports, and can start again on the same ones', async () => {
    let port = 0;
    await withDemo((found) => {
      port = found;
      return Promise.resolve();
    });
    for (const offset of [1, 2, 3]) await assert.rejects(statusOf(port + offset, '/'), TypeError);
    const again = await startDemo({ port, issuer: `http://${HOST}:${port}`, host: HOST });
    assert.equal(await statusOf(port + 1, '/'), 200);
    await again.close();
  });

  it('The demo opens no port if one of them is taken', async () => {
    await withDemo(async (port) => {
      const second = startDemo({ port: port - 1, issuer: `http://${HOST}:${port - 1}`, host: HOST });
      await assert.rejects(second, { code: 'EADDRINUSE' });
      await assert.rejects(statusOf(port, '/'), TypeError);
    });
  });
});
