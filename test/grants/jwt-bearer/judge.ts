import { setTimeout as sleep } from 'node:timers/promises';
import { openMasterKey } from '../../../src/keys/master-key.ts';
import { systemRandom } from '../../../src/lib/random.ts';
import { join } from 'node:path';
import { WorkingDirectory, type Process } from '../../cli/latchkey.ts';
import { freePort } from '../../support/free-port.ts';
import { JWT_BEARER } from './foreign-issuer.ts';

/** How a server answered an assertion: outside, and in its log. */
export interface Verdict {
  status: number;
  body: Record<string, unknown>;
  /** The name of the check that did not hold. */
  reason: string | undefined;
}

/** A server in a process of its own, whose log is read. */
export interface Judge {
  readonly issuer: string;
  /** The URL of its store. */
  readonly store: string;
  /** The directory of the master key. */
  readonly keys: string;
  /** @param basic `client_id:client_secret`; empty for a client that proves nothing */
  judge(parameters: Record<string, string>, basic?: string): Promise<Verdict>;
  close(): Promise<void>;
}

interface Line {
  event?: string;
  requestId?: string;
  reason?: string;
}

/** @param settings what the configuration has besides the issuer, once the issuer is known */
export async function startJudge(
  settings: (issuer: string) => Promise<object>,
  environment: NodeJS.ProcessEnv,
): Promise<Judge> {
  const directory = new WorkingDirectory();
  const port = await freePort();
  const issuer = `http://localhost:${port}`;
  await openMasterKey(join(directory.path, 'keys'), { create: true, random: systemRandom });
  const store = `sqlite:${join(directory.path, 'store.db')}`;
  const config = {
    issuer,
    stores: { grants: store },
    listen: { port },
    log: { format: 'json' },
    ...(await settings(issuer)),
  };
  // JSON is YAML too.
  directory.write('latchkey.yaml', JSON.stringify(config));
  const child: Process = directory.start(['start'], environment);
  await child.printed(/"ready"/);

  /** The log line of a request may come a moment after its answer. */
  async function refusalOf(requestId: string): Promise<Line | undefined> {
    for (let tries = 0; tries < 1500; tries += 1) {
      const line = lines().find((one) => one.event === 'request.refused' && one.requestId === requestId);
      if (line !== undefined) return line;
      await sleep(10);
    }
    return undefined;
  }

  const lines = (): Line[] =>
    child
      .output()
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as Line);

  return {
    issuer,
    store,
    keys: join(directory.path, 'keys'),
    async judge(parameters, basic = 'partner:the-secret-of-the-partner-and-of-no-other') {
      const response = await fetch(new URL('/token', issuer), {
        method: 'POST',
        headers: basic === '' ? {} : { authorization: `Basic ${Buffer.from(basic).toString('base64')}` },
        body: new URLSearchParams({ grant_type: JWT_BEARER, ...parameters }),
      });
      const body = (await response.json()) as Record<string, unknown>;
      if (response.status === 200) return { status: 200, body, reason: undefined };
      const line = await refusalOf(response.headers.get('x-request-id') ?? '');
      return { status: response.status, body, reason: /^assertion refused: (\w+)/.exec(line?.reason ?? '')?.[1] };
    },
    async close() {
      child.kill('SIGTERM');
      await child.ended;
      directory.remove();
    },
  };
}
