import assert from 'node:assert/strict';
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { basesOf } from '../attacks/bases.ts';
import { assertWellBehaved, type Places } from '../attacks/well-behaved.ts';
import { sendRaw, type RawAnswer } from '../support/raw-http.ts';
import { changedRequests, missingPieces, moreBases } from './fuzzed-requests.ts';
import { clientKey } from '../support/signed-request.ts';

/** A million is `FUZZ_REQUESTS=1000000 npm run test:soak -- --grep "fuzzed"`; the usual share ends by itself. */
const REQUESTS = Number(process.env['FUZZ_REQUESTS'] ?? Infinity);
const USUAL_TIME = 120_000;
const SEED = Number(process.env['FUZZ_SEED'] ?? Date.now() % 1_000_000_000);
const AT_ONCE = 96;
/** A stream, for example, does not end by itself. */
const PATIENCE = 3000;

describe('A server that gets fuzzed requests', function () {
  this.timeout(24 * 3_600_000);
  let child: ChildProcess;
  let places: Places;
  const log: string[] = [];
  const faults: string[] = [];
  const statuses = new Map<number, number>();
  const memory: number[] = [];
  let count = 0;

  before(async () => {
    const key = await clientKey();
    const [jwk] = key.jwks.keys;
    child = fork(join(import.meta.dirname, 'fuzzed-server.ts'), [JSON.stringify(jwk)], {
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      env: { ...process.env, LATCHKEY_LOG_LEVEL: 'info' },
    });
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', (text: Buffer) => read(String(text)));
    const exit = once(child, 'exit').then(() => assert.fail(`the server ended: ${log.join('')}`));
    const [message] = (await Promise.race([once(child, 'message'), exit])) as [Places];
    places = message;
    exit.catch((error: unknown) => faults.push(String(error)));
    const host = new URL(places.issuer).host;
    const known = await basesOf(places);
    const bases = [...Object.values(known), ...(await moreBases(places.issuer, known, key))];
    const isOver = limit();
    // Each missing piece first, then changes at random for as long as there is time.
    await send(missingPieces(bases.slice(0, 80), host), isOver);
    await send(changedRequests(bases, host, SEED), isOver);
  });

  after(async () => {
    const gone = child.exitCode !== null || once(child, 'exit');
    if (child.connected) child.disconnect();
    await gone;
  });

  /** Keeps the lines that matter, and not a million of others. */
  function read(text: string): void {
    for (const line of text.split('\n')) {
      if (/"level":(?:50|60)|"stack"|\n? {4}at /.test(line) && log.length < 50) log.push(line.slice(0, 2000));
    }
  }

  function limit(): () => boolean {
    if (Number.isFinite(REQUESTS)) return () => count >= REQUESTS;
    const end = Date.now() + USUAL_TIME;
    return () => Date.now() >= end;
  }

  async function send(requests: Iterator<Buffer>, isOver: () => boolean): Promise<void> {
    const port = Number(new URL(places.issuer).port);
    const work = async (): Promise<void> => {
      for (let next = requests.next(); next.done !== true && !isOver(); next = requests.next()) {
        await attack(port, next.value);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
  }

  async function attack(port: number, bytes: Buffer): Promise<void> {
    count += 1;
    if (count % 2000 === 0) memory.push(residentMegabytes(child.pid ?? 0));
    if (count % 50_000 === 0) console.log(`      ${String(count)} requests, ${String(memory.at(-1))} MB`);
    try {
      const answer = await sendRaw(port, bytes, { patience: PATIENCE });
      statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1);
      if (answer.status !== 0 && !isApart(answer)) assertWellBehaved(firstOf(answer), places);
    } catch (error) {
      const kind = String(error).slice(0, 60);
      // Two of each kind say what it is.
      if (faults.filter((one) => one.startsWith(kind)).length < 2)
        faults.push(`${String(error)}\n${bytes.toString('latin1').slice(0, 1000)}`);
    }
  }

  it('The server answers each fuzzed request with a status that the standards allow', () => {
    const seen = [...statuses].toSorted().map(([status, times]) => `${String(status)}: ${String(times)}`);
    console.log(`      ${String(count)} requests, seed ${String(SEED)}; ${seen.join(', ')}`);
    assert.deepEqual(faults, []);
    assert.ok(count > 1000, `only ${String(count)} were sent`);
  });

  it('The server logs no error and no stack during the fuzzing', () => {
    assert.deepEqual(log, []);
  });

  it('The server needs no more memory at the end of the fuzzing than in the middle', () => {
    const half = memory.length / 2;
    const [middle, end] = [median(memory.slice(half / 2, half)), median(memory.slice(-half / 2))];
    console.log(`      memory: ${String(middle)} MB in the second quarter, ${String(end)} MB in the last`);
    assert.ok(end < middle * 1.25 + 32, `${String(middle)} MB grew to ${String(end)} MB`);
  });

  it('The server is ready after the fuzzing', async () => {
    assert.equal((await fetch(`${places.issuer}/readyz`)).status, 200);
  });
});

/** A stream that does not end, and the one page that apps put into a frame. */
function isApart({ headers }: RawAnswer): boolean {
  const type = headers.get('content-type') ?? '';
  return (
    type.startsWith('text/event-stream') ||
    (headers.get('content-security-policy') ?? '').includes('frame-ancestors https:')
  );
}

/** Spoiled bytes may be two requests, and their answers stand one behind the other. */
function firstOf(answer: RawAnswer): RawAnswer {
  const length = Number(answer.headers.get('content-length') ?? NaN);
  return Number.isNaN(length) ? answer : { ...answer, body: answer.body.slice(0, length) };
}

function residentMegabytes(pid: number): number {
  const status = readFileSync(`/proc/${String(pid)}/status`, 'utf8');
  return Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024);
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? 0;
}
