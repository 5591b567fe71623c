import autocannon from 'autocannon';

export interface Request {
  method: 'GET' | 'POST';
  path: string;
  headers: Record<string, string>;
  body: string;
}

/** What many connections send at once. */
export type Load = { connections: number } & (SameLoad | OnceLoad | ChainLoad);

interface SameLoad {
  same: Request;
}

/** Each request can be sent once. */
interface OnceLoad {
  once: readonly Request[];
}

/** One request per connection to begin with; each next one is made of the answer to the last. */
interface ChainLoad {
  first: readonly Request[];
  next: (answer: string) => Request;
}

export interface Round {
  /** Requests that were answered. */
  count: number;
  /** Milliseconds from the first request to the last answer. */
  took: number;
  /** Milliseconds of each request. */
  latencies: number[];
}

/**
 * Sends it for so many milliseconds; requests that go out once each, until all are sent.
 * @throws Error when anything but the expected status comes back
 */
export async function run(load: Load, url: string, limits: { milliseconds: number; status: number }): Promise<Round> {
  const start = performance.now();
  const latencies: number[] = [];
  let last = start;
  let odd: number | undefined;
  const { errors } = await new Promise<autocannon.Result>((resolve, reject) => {
    const shots = autocannon(autocannonOptions(load, url, limits.milliseconds), (error: Error | null, result) => {
      if (error === null) resolve(result);
      else reject(error);
    });
    shots.on('response', (_client, status, _bytes, milliseconds) => {
      latencies.push(milliseconds);
      last = performance.now();
      if (status !== limits.status) odd = status;
    });
  });
  if (odd !== undefined) throw new Error(`a request was answered with ${odd} and not ${limits.status}`);
  if (errors > 0) throw new Error(`${errors} requests failed`);
  return { count: latencies.length, took: last - start, latencies };
}

function autocannonOptions(load: Load, url: string, milliseconds: number): autocannon.Options {
  const common = { url, sampleInt: 20, connections: load.connections };
  if ('same' in load) return { ...common, requests: [load.same], duration: milliseconds / 1000 };
  const setupClient = clientSetup(load);
  if ('first' in load) return { ...common, setupClient, duration: milliseconds / 1000 };
  const amount = load.once.length;
  return { ...common, setupClient, amount, connections: Math.min(load.connections, amount) };
}

/** Gives every connection a request that is made anew each time. */
function clientSetup(load: OnceLoad | ChainLoad): (client: autocannon.Client) => void {
  let taken = 0;
  const takeFrom = (requests: readonly Request[]): Request => {
    const request = requests[taken % requests.length];
    taken += 1;
    if (request === undefined) throw new Error('no request to send');
    return request;
  };
  return (client) => {
    let answer: string | undefined;
    const nextRequest = (): Request => {
      if ('once' in load) return takeFrom(load.once);
      return answer === undefined ? takeFrom(load.first) : load.next(answer);
    };
    client.setRequests([
      {
        setupRequest: (request) => ({ ...request, ...nextRequest() }),
        onResponse: (_status, body) => void (answer = body),
      },
    ]);
  };
}

/** One request of the load. */
export function sendOne(load: Load, url: string): Promise<Response> {
  const request = 'same' in load ? load.same : 'once' in load ? load.once[0] : load.first[0];
  if (request === undefined) throw new Error('no request to send');
  const { method, path, headers, body } = request;
  return fetch(new URL(path, url), { method, headers, redirect: 'manual', ...(body !== '' && { body }) });
}
