import assert from 'node:assert/strict';
import { startDemo } from '../../src/demo/demo.ts';
import { serve } from '../resource-server/serving.ts';

const HOST = '127.0.0.1';

describe('the demo', () => {
  /** A port whose three successors are free too, which the system can only be asked by trying. */
  async function withDemo(use: (port: number) => Promise<void>): Promise<void> {
    for (let attempt = 0; attempt < 20; attempt += 1) {
      const server = await serve((_request, response) => response.end());
      const { port } = server;
      await server.close();
      const demo = await startDemo({ port, issuer: `http://${HOST}:${port}`, host: HOST }).catch((error: unknown) => {
        if (error instanceof Error && 'code' in error && error.code === 'EADDRINUSE') return undefined;
        throw error;
      });
      if (demo === undefined) continue;
      await use(port).finally(() => demo.close());
      return;
    }
    throw new Error('There are no four free ports in a row');
  }

  const statusOf = async (port: number, path: string): Promise<number> => {
    const response = await fetch(`http://${HOST}:${port}${path}`);
    await response.body?.cancel();
    return response.status;
  };

  it('serves Notes, Photos and the API on the ports that follow the server’s', async () => {
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

  it('leaves no port open when it is closed, and can be started on the same ones again', async () => {
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

  it('opens none of its ports when one of them is taken', async () => {
    await withDemo(async (port) => {
      const second = startDemo({ port: port - 1, issuer: `http://${HOST}:${port - 1}`, host: HOST });
      await assert.rejects(second, { code: 'EADDRINUSE' });
      await assert.rejects(statusOf(port, '/'), TypeError);
    });
  });
});
