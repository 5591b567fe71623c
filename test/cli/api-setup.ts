import assert from 'node:assert/strict';
import { createVerifier, guard, type Requirements } from '../../src/resource-server/resource-server.ts';
import type { Config } from '../../src/config/schema.ts';
import { serve } from '../resource-server/serving.ts';
import { startTwoNodes, type TwoNodes } from '../status/two-nodes.ts';
import type { Backend } from '../storage/backends.ts';
import { besides, command, type Ended, type Said } from '../support/command.ts';
import { apiOf } from '../support/tokens.ts';
import { until } from '../support/until.ts';

/** Two nodes, an API that listens to them by the kit, and commands beside them. */
export interface ApiSetup {
  readonly nodes: TwoNodes;
  /** Runs a command line in this process. */
  latchkey(line: string, said?: Said): Promise<Ended & { asked: string[] }>;
  /** The same where it has to succeed. @returns standard output */
  succeeds(line: string, said?: Said): Promise<string>;
  /** What the API answers. */
  call(path: string, token: string | undefined): Promise<number>;
  /** Whether the API takes a token. */
  takes(token: string | undefined): Promise<boolean>;
  /** Waits until it does not. @throws Error where it goes on doing so */
  untilRefused(token: string | undefined): Promise<void>;
  stop(): Promise<void>;
}

const PATHS: Record<string, Requirements> = {
  '/': {},
  '/by-role': { role: 'admin' },
  '/by-scope': { scope: 'notes:admin' },
};

export async function startApiSetup(backend: Backend, change?: (config: Config) => Config): Promise<ApiSetup> {
  const nodes = await startTwoNodes(backend, change);
  const { issuer } = nodes;
  const [{ config, directory }] = nodes.nodes;
  const environment = besides({ directory, issuer, store: config.stores.grants });
  const verifier = createVerifier({ issuer, audience: apiOf(issuer), status: { check: 'required' } });
  const guards = new Map(Object.entries(PATHS).map(([path, needs]) => [path, guard(verifier, needs)]));
  const api = await serve((request, response) => {
    void guards
      .get(request.url ?? '')?.(request, response)
      .then((token) => token && response.end());
  });
  const latchkey: ApiSetup['latchkey'] = (line, said = {}) =>
    command(line.split(' '), { ...said, environment: { ...said.environment, ...environment } });
  const call: ApiSetup['call'] = async (path, token) =>
    (await fetch(api.url + path, { headers: { authorization: `Bearer ${token}` } })).status;
  const takes = async (token: string | undefined): Promise<boolean> => {
    const status = await call('/', token);
    assert.ok(status === 200 || status === 401, String(status));
    return status === 200;
  };
  return {
    ...{ nodes, latchkey, call, takes },
    async succeeds(line, said) {
      const { code, out, err } = await latchkey(line, said);
      assert.equal(code, 0, out + err);
      return out;
    },
    untilRefused: (token) => until(async () => !(await takes(token))),
    async stop() {
      await api.close();
      verifier.close();
      await nodes.stop();
    },
  };
}
