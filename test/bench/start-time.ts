import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../support/free-port.ts';
import { median } from './measure.ts';
import { startCommand, stop, untilAnswers } from './processes.ts';

const RESTARTS = 3;

/**
 * Milliseconds from the start of `npx latchkey` in demo mode to its first token: the very first time, when it makes its
 * keys and accounts, and the median of later starts.
 */
export async function timeToFirstToken(): Promise<{ first: number; later: number }> {
  const directory = await mkdtemp(join(tmpdir(), 'latchkey-bench-'));
  try {
    const first = await timeOneStart(directory);
    const later: number[] = [];
    while (later.length < RESTARTS) later.push(await timeOneStart(directory));
    return { first, later: median(later) };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function timeOneStart(directory: string): Promise<number> {
  const port = await freePort();
  const begin = performance.now();
  const child = spawn(process.execPath, [...startCommand.options, ...startCommand.line], {
    cwd: directory,
    env: { ...process.env, LATCHKEY_PORT: String(port) },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  try {
    await untilAnswers(`http://localhost:${port}/token`, child, {
      method: 'POST',
      headers: { authorization: `Basic ${Buffer.from('demo-service:demo-service-secret').toString('base64')}` },
      body: new URLSearchParams({ grant_type: 'client_credentials' }),
    });
    return performance.now() - begin;
  } finally {
    await stop(child);
  }
}
