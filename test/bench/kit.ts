import { importJWK, jwtVerify } from 'jose';
import { createVerifier } from '../../src/resource-server/resource-server.ts';
import { AUDIENCE, currentDate } from '../resource-server/issuer.ts';
import { startStatusIssuer } from '../resource-server/status-issuer.ts';
import type { Sizes } from './measure.ts';

/** Verifications under way at once, as in an API with so many requests. */
const AT_ONCE = 32;
const TOKENS = 256;
/** Milliseconds of one turn: short, so that neighbours see the same of a machine that has other things to do. */
const TURN = 50;

interface Turn {
  rate: number;
  /** Microseconds for each token. */
  cpu: number;
}

/**
 * How fast the kit verifies, status list of a million tokens included, beside `jose.jwtVerify` with the same checks, tokens and
 * imported key: in one process, in turns.
 */
export async function measureKit({ rounds, turn }: Sizes): Promise<string> {
  const issuer = await startStatusIssuer();
  const list = issuer.list('million');
  list.size = 2 ** 20;
  for (let idx = 0; idx < list.size; idx += 1000) list.statuses.set(idx, 1);
  const tokens = await Promise.all(Array.from({ length: TOKENS }, (_, at) => issuer.tokenAt(list, at * 1000 + 1)));
  const verifier = createVerifier({ issuer: issuer.url, audience: AUDIENCE, currentDate });
  const key = await importJWK(issuer.key.publicJwk, 'ES256');
  const checks = { issuer: issuer.url, audience: AUDIENCE, typ: 'at+jwt', algorithms: ['ES256'] };
  const bare = (token: string): Promise<unknown> => jwtVerify(token, key, { ...checks, currentDate: currentDate() });
  const kit = (token: string): Promise<unknown> => verifier.verify(token);

  for (const verify of [kit, bare]) await takeTurn(verify, tokens, turn);
  const pairs: { kit: Turn; bare: Turn }[] = [];
  while (pairs.length * TURN < rounds * turn) {
    pairs.push({ kit: await takeTurn(kit, tokens, TURN), bare: await takeTurn(bare, tokens, TURN) });
  }
  verifier.close();
  await issuer.close();
  return line(pairs);
}

async function takeTurn(
  verify: (token: string) => Promise<unknown>,
  tokens: readonly string[],
  milliseconds: number,
): Promise<Turn> {
  const [startedAt, used] = [performance.now(), process.cpuUsage()];
  let count = 0;
  while (performance.now() - startedAt < milliseconds) {
    const from = count % TOKENS;
    await Promise.all(tokens.slice(from, from + AT_ONCE).map(verify));
    count += AT_ONCE;
  }
  const { user, system } = process.cpuUsage(used);
  return { rate: (count / (performance.now() - startedAt)) * 1000, cpu: (user + system) / count };
}

function line(pairs: readonly { kit: Turn; bare: Turn }[]): string {
  const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? NaN;
  const of = (value: (pair: { kit: Turn; bare: Turn }) => number): number => median(pairs.map(value));
  const rates = [of(({ kit }) => kit.rate), of(({ bare }) => bare.rate)].map((rate) => Math.round(rate));
  const ratio = of(({ kit, bare }) => kit.rate / bare.rate).toFixed(2);
  const byCpu = of(({ kit, bare }) => bare.cpu / kit.cpu).toFixed(2);
  return `kit verification with status check: ${rates.join(' a second, bare jose.jwtVerify ')}; ratio ${ratio}, by CPU ${byCpu}`;
}
