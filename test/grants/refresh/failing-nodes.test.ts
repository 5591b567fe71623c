import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { newPlace, type Place } from '../../durability/command.ts';
import { serverStores } from '../../oidc/server-stores.ts';
import type { RunningBackend } from '../../storage/backends.ts';
import { tokensFor } from '../../support/flows.ts';
import { startServerProcess, type ServerProcess } from '../../support/server-process.ts';
import { until } from '../../support/until.ts';

const APPS = 6;
/** How long an app waits for an answer of the node that may fail, and of the other one, in milliseconds. */
const PATIENCE = 400;
const TRUST = 10_000;

for (const backend of serverStores) {
  describe(`Clients that refresh at one of two nodes on ${backend.name}`, () => {
    let store: RunningBackend;
    let place: Place;
    let failing: ServerProcess;
    let other: ServerProcess;

    before(async () => {
      store = await backend.start();
      place = await newPlace(store.url);
      other = await startServerProcess({ ...place, at: place.port });
      failing = await startServerProcess(place);
    });

    after(async () => {
      failing.signal('SIGKILL');
      await Promise.all([failing.close(), other.close()]);
      await store.stop();
      await place.remove();
    });

    async function signedIn(): Promise<App[]> {
      const apps: App[] = [];
      while (apps.length < APPS) apps.push(new App((await tokensFor(place.issuer))['refresh_token'] ?? ''));
      return apps;
    }

    /** They refresh at the failing node until it fails, and at the other one from then on. */
    async function refreshUntil(apps: readonly App[], failure: () => void): Promise<void> {
      const before = apps.map(async (app) => {
        await until(async () => !(await app.refresh(failing.url, PATIENCE)));
      });
      await sleep(200 + Math.random() * 200);
      failure();
      await Promise.all(before);
      // Nobody is there to take these.
      await Promise.all(apps.map((app) => app.refresh(failing.url, PATIENCE)));
      for (let times = 0; times < 3; times += 1) await Promise.all(apps.map((app) => app.refreshAnyhow(other.url)));
    }

    // A node that stands still may do so with SQLite's file locked.
    if (backend.name !== 'SQLite') {
      it('The clients keep their tokens if a node stalls and later answers their old requests', async () => {
        const apps = await signedIn();
        await refreshUntil(apps, () => {
          failing.signal('SIGSTOP');
        });
        failing.signal('SIGCONT');
        await ready(failing);
        await Promise.all(apps.map((app) => app.refreshAnyhow(failing.url)));
        await Promise.all(apps.map((app) => app.refreshAnyhow(other.url)));
        assert.deepEqual(
          apps.flatMap(({ refusals }) => refusals),
          [],
        );
      });
    }

    it('The clients keep their tokens if a node is killed', async () => {
      const apps = await signedIn();
      await refreshUntil(apps, () => {
        failing.signal('SIGKILL');
      });
      assert.deepEqual(
        apps.flatMap(({ refusals }) => refusals),
        [],
      );
    });
  });
}

/** Tries again wherever it is sent, as long as it is not refused. */
class App {
  readonly refusals: string[] = [];
  #token: string;

  constructor(token: string) {
    this.#token = token;
  }

  /** @returns whether there was an answer in time */
  async refresh(url: string, patience = TRUST): Promise<boolean> {
    const body = new URLSearchParams({
      grant_type: 'refresh_token',
      client_id: 'demo-notes',
      refresh_token: this.#token,
    });
    try {
      const signal = AbortSignal.timeout(patience);
      const response = await fetch(new URL('/token', url), { method: 'POST', body, signal });
      const text = await response.text();
      if (response.status === 200) this.#token = (JSON.parse(text) as { refresh_token: string }).refresh_token;
      else if (response.status < 500) this.refusals.push(text);
      return response.status === 200;
    } catch {
      return false;
    }
  }

  async refreshAnyhow(url: string): Promise<void> {
    await until(async () => (await this.refresh(url)) || this.refusals.length > 0);
  }
}

async function ready({ url }: ServerProcess): Promise<void> {
  await until(() => fetch(new URL('/readyz', url)).then(({ ok }) => ok, () => false)); // prettier-ignore
}
