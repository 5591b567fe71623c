import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { newPlace, type Place } from '../durability/command.ts';
import { startRedis, type RedisOfTests } from '../support/redis.ts';
import { startServerProcess, type NodeOf, type ServerProcess } from '../support/server-process.ts';
import { freePort } from '../support/free-port.ts';

/** What becomes of the file of a Redis that dies: it is there when it comes back, it is gone, or it is the one of before. */
export type RedisFile = 'kept' | 'lost' | 'older';

/** Two nodes on a Redis, each of which may die and come back where it was. The records are in a file. */
export class FragileServer {
  readonly place: Place;
  readonly ports: readonly [number, number];
  readonly #folder: string;
  readonly #settings: Pick<NodeOf, 'statusLists' | 'records'>;
  #redis: RedisOfTests;
  readonly #nodes: ServerProcess[] = [];

  private constructor(parts: {
    place: Place;
    ports: readonly [number, number];
    folder: string;
    redis: RedisOfTests;
    ttl: number;
  }) {
    const { place } = parts;
    this.place = place;
    this.ports = parts.ports;
    this.#folder = parts.folder;
    this.#redis = parts.redis;
    this.#settings = { statusLists: { ttl: parts.ttl }, records: `sqlite:${join(place.directory, 'records.db')}` };
  }

  /** @param ttl of its status lists, in seconds */
  static async start(ttl: number): Promise<FragileServer> {
    const folder = await mkdtemp(join(tmpdir(), 'latchkey-fragile-'));
    const redis = await startRedis(inFolder(folder));
    const place = await newPlace(redis.url);
    const ports = [place.port, await freePort()] as const;
    const server = new FragileServer({ place, ports, folder, redis, ttl });
    for (const at of [0, 1] as const) await server.startNode(at);
    return server;
  }

  async startNode(at: 0 | 1): Promise<void> {
    this.#nodes[at] = await startServerProcess({ ...this.place, ...this.#settings, at: this.ports[at] });
  }

  async killNode(at: 0 | 1): Promise<void> {
    this.#nodes[at]?.signal('SIGKILL');
    await this.#nodes[at]?.close();
  }

  /** Keeps what Redis has now, for `older`. */
  async copyFile(): Promise<void> {
    await rm(this.#copy, { recursive: true, force: true });
    await cp(this.#file, this.#copy, { recursive: true });
  }

  async killRedis(): Promise<void> {
    await this.#redis.stop();
  }

  async startRedis(file: RedisFile): Promise<void> {
    if (file !== 'kept') await rm(this.#file, { recursive: true, force: true });
    if (file === 'older') await cp(this.#copy, this.#file, { recursive: true });
    this.#redis = await startRedis({ ...inFolder(this.#folder), port: Number(new URL(this.place.store).port) });
  }

  async stop(): Promise<void> {
    await Promise.all(this.#nodes.map((node) => node.close()));
    await this.#redis.stop();
    await this.place.remove();
    await rm(this.#folder, { recursive: true, force: true });
  }

  /** Where a Redis with `appendonly` writes. */
  get #file(): string {
    return join(this.#folder, 'appendonlydir');
  }

  get #copy(): string {
    return join(this.#folder, 'copy');
  }
}

function inFolder(folder: string) {
  return { appendonly: true, extra: ['--dir', folder] };
}
