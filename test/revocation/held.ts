import { setTimeout as sleep } from 'node:timers/promises';
import type { Browser } from '../support/browser.ts';
import { answerAtOnce, authorizationRequest } from '../support/flows.ts';
import { MachineTime } from '../support/machine-time.ts';
import { TTL, type RevocationSetup } from './two-nodes.ts';

/** Somebody to whom it can be shown, and who accepts it or does not. */
interface Judge {
  readonly name: string;
  /** How long after its end, in milliseconds, this one may still accept it. */
  readonly bound: number;
  accepts(): Promise<boolean>;
}

/** Something that opens a door: a token, or a session. */
export interface Held {
  readonly name: string;
  readonly judges: readonly Judge[];
}

/** Whoever asks the server itself is answered by what is in the store. */
const AT_ONCE = 0;
/** What a busy machine may add, in milliseconds. */
const BUSY = 500;
const STREAM = 1000;

/** A JWT access token: shown to every API, and to the server at each node. */
export function heldJwt(setup: RevocationSetup, name: string, token: string): Held {
  const apis = setup.apis.map((api) => ({
    name: api.name,
    bound: api.hasStream ? STREAM : TTL * 1000,
    async accepts() {
      const answer = await api.answerTo(token);
      if (answer === 'unavailable') throw new Error(`${api.name} knows nothing of a token`);
      return answer === 'accepted';
    },
  }));
  return { name, judges: [...apis, ...introspectedBy(setup, token)] };
}

/** A token that only the server knows: an opaque access token, or a refresh token. */
export function heldRecord(setup: RevocationSetup, name: string, token: string): Held {
  return { name, judges: introspectedBy(setup, token) };
}

/** A browser that is signed in. */
export function heldSession(setup: RevocationSetup, name: string, browser: Browser, clientId: string): Held {
  const judges = setup.nodes.map((node, at) => ({
    name: `node ${at}`,
    bound: AT_ONCE,
    accepts: async () => {
      const request = authorizationRequest(setup.issuer, clientId, { prompt: 'none' });
      return 'code' in (await node.run(() => answerAtOnce(browser, request)));
    },
  }));
  return { name, judges };
}

function introspectedBy({ issuer, nodes }: RevocationSetup, token: string): Judge[] {
  return nodes.map((node, at) => ({
    name: `introspection at node ${at}`,
    bound: AT_ONCE,
    accepts: async () => {
      const response = await node.run(() =>
        fetch(`${issuer}/introspect`, {
          method: 'POST',
          headers: { authorization: `Basic ${btoa('demo-web:demo-web-secret')}` },
          body: new URLSearchParams({ token }),
        }),
      );
      return ((await response.json()) as { active?: boolean }).active === true;
    },
  }));
}

/** @returns who does not accept what of these, in words */
export async function refusals(held: readonly Held[]): Promise<string[]> {
  const answers = held.flatMap(({ name, judges }) =>
    judges.map(async (judge) => ((await judge.accepts()) ? [] : [`${judge.name} refuses ${name}`])),
  );
  return (await Promise.all(answers)).flat();
}

/**
 * Waits until nobody accepts any of these any more.
 * @returns who accepted what for longer than they may from now on, in words
 */
export async function acceptances(held: readonly Held[]): Promise<string[]> {
  using machine = new MachineTime();
  const start = performance.now();
  const elapsed = (): number => performance.now() - start - machine.lost;
  const late = held.flatMap(({ name, judges }) =>
    judges.map(async (judge) => {
      const last = await lastAcceptance(judge, elapsed);
      return last <= judge.bound + BUSY ? [] : [`${judge.name} accepted ${name} after ${last.toFixed()} ms`];
    }),
  );
  return (await Promise.all(late)).flat();
}

/** @returns when it last asked and was let in, in milliseconds of this process; after the bound and more, it asks no more */
async function lastAcceptance(judge: Judge, elapsed: () => number): Promise<number> {
  let last = 0;
  while (last <= judge.bound + BUSY) {
    const asked = elapsed();
    if (!(await judge.accepts())) break;
    last = asked;
    await sleep(20);
  }
  return last;
}
