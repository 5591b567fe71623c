/**
 * `node raw-flood.ts PLAN`: sends anonymous requests at a steady rate, whatever becomes of them, and prints how many got
 * each answer. A process of its own, with sockets and bytes in place of an HTTP client: it must cost little beside the
 * server, and not be a part of the delay that somebody else measures meanwhile.
 */
import { connect, type Socket } from 'node:net';
import { performance } from 'node:perf_hooks';
import { setTimeout as pause } from 'node:timers/promises';
import { ResponseReader } from './raw-connection.ts';

export interface FloodPlan {
  port: number;
  host: string;
  /** Requests a second. */
  rate: number;
  seconds: number;
  /** How many IPv4 addresses they come from. */
  blocks: number;
  /** The target of a new authorization request, for every other turn. */
  authorize: string;
  /** Sign-in forms to guess by, for the other turns. A wrong password leaves a form as it is. */
  forms: readonly { path: string; cookie: string; fields: string }[];
}

/** How many requests got each answer, by kind and status. */
export type FloodCounts = Record<string, number>;

/** Connections at once, at most; a request that finds none free is counted as held up. */
const CONNECTIONS = 400;
/** Milliseconds that the last answers may take. */
const PATIENCE = 30_000;

class Flood {
  readonly counts: FloodCounts = {};
  readonly #plan: FloodPlan;
  readonly #idle: Socket[] = [];
  #open = 0;
  #underWay = 0;

  constructor(plan: FloodPlan) {
    this.#plan = plan;
  }

  async run(): Promise<void> {
    const { rate, seconds } = this.#plan;
    const start = performance.now();
    for (let turn = 0; turn < rate * seconds; turn += 1) {
      const wait = start + (turn * 1000) / rate - performance.now();
      if (wait > 5) await pause(wait);
      this.#send(turn);
    }
    const end = performance.now() + PATIENCE;
    while (this.#underWay > 0 && performance.now() < end) await pause(20);
  }

  #send(turn: number): void {
    const isGuess = turn % 2 === 0;
    const kind = isGuess ? 'sign-in' : 'authorize';
    const socket = this.#idle.pop() ?? (this.#open < CONNECTIONS ? this.#connect() : undefined);
    if (socket === undefined) return this.#count(`${kind} held up`);
    socket.write(isGuess ? this.#guess(turn) : this.#authorization(turn));
    const reader = new ResponseReader();
    this.#underWay += 1;
    const onClose = (): void => {
      this.#underWay -= 1;
      this.#count(`${kind} cut`);
    };
    socket.once('close', onClose).on('data', (piece) => {
      const response = reader.push(piece);
      if (response === undefined) return;
      socket.off('close', onClose).removeAllListeners('data');
      this.#underWay -= 1;
      this.#count(`${kind} ${response.toString('latin1', 9, 12)}`);
      if (response.includes('Connection: close\r\n')) socket.destroy();
      else this.#idle.push(socket);
    });
  }

  #connect(): Socket {
    const socket = connect({ port: this.#plan.port, host: '127.0.0.1', noDelay: true });
    this.#open += 1;
    // A connection that cannot be made is counted as it closes.
    socket.on('error', () => undefined);
    socket.once('close', () => {
      this.#open -= 1;
      const at = this.#idle.indexOf(socket);
      if (at !== -1) this.#idle.splice(at, 1);
    });
    return socket;
  }

  #count(what: string): void {
    this.counts[what] = (this.counts[what] ?? 0) + 1;
  }

  #address(turn: number): string {
    const block = Math.floor(turn / 2) % this.#plan.blocks;
    return `10.7.${Math.floor(block / 250)}.${1 + (block % 250)}`;
  }

  #head(turn: number, line: string): string {
    const { host } = this.#plan;
    return `${line} HTTP/1.1\r\nHost: ${host}\r\nX-Forwarded-For: ${this.#address(turn)}\r\nAccept: text/html\r\n`;
  }

  #authorization(turn: number): string {
    return `${this.#head(turn, `GET ${this.#plan.authorize}`)}\r\n`;
  }

  /** A guess at an account of its own. */
  #guess(turn: number): string {
    const { forms, host } = this.#plan;
    const { path, cookie, fields } = forms[(turn / 2) % forms.length] ?? { path: '/', cookie: '', fields: '' };
    const body = `${fields}&email=person-${String(turn)}%40example.com&password=guess-${String(turn)}`;
    const type = 'Content-Type: application/x-www-form-urlencoded';
    const headers = `Cookie: ${cookie}\r\nOrigin: http://${host}\r\n${type}\r\nContent-Length: ${String(body.length)}`;
    return `${this.#head(turn, `POST ${path}`)}${headers}\r\n\r\n${body}`;
  }
}

if (process.argv[1] === import.meta.filename) {
  const flood = new Flood(JSON.parse(process.argv[2] ?? '') as FloodPlan);
  await flood.run();
  console.log(JSON.stringify(flood.counts));
  process.exit();
}
