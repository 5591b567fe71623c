import { textOf } from './bytes.ts';
import { pause, unref } from './timers.ts';

export interface FetchOptions {
  /** Timeout of the whole fetch, in seconds. */
  timeout: number;
  accept: string;
  /** ETag of the caller's copy, so that the issuer can answer 304. */
  etag?: string | undefined;
  /**
   * Seconds without a response after which the request is sent over another connection too, because a node may hang.
   */
  patience?: number | undefined;
}

export interface Fetched {
  /** 304 if the copy with the given `etag` is still current. */
  readonly status: number;
  readonly etag: string | undefined;
  readonly body: string;
}

/** Maximum number of connections for one fetch. */
const CONNECTIONS = 4;
/** Largest accepted body in bytes. A status list of eight million incompressible bits fits. */
const MAX_BODY = 2 ** 21;

/** Fetches an issuer's document with limits on size and time, and follows no redirect. @throws Error */
export async function fetchFromIssuer(url: URL, { patience, ...options }: FetchOptions): Promise<Fetched> {
  const answered = new AbortController();
  const silence = new DOMException(`${url.href} does not answer within ${options.timeout} s`, 'TimeoutError');
  const timer = unref(setTimeout(() => answered.abort(silence), options.timeout * 1000));
  const ask = (): Promise<Fetched> => fetchOnce(url, options, answered.signal);
  try {
    return await (patience === undefined ? ask() : askSeveral(ask, patience));
  } finally {
    clearTimeout(timer);
    answered.abort();
  }
}

/** Repeats a request that gets no response in time. The first response counts. */
async function askSeveral(ask: () => Promise<Fetched>, patience: number): Promise<Fetched> {
  const asked: Promise<Fetched>[] = [];
  while (asked.length < CONNECTIONS) {
    asked.push(ask());
    const answer = Promise.any(asked).catch(() => undefined);
    const first = await Promise.race([answer, pause(patience * 1000)]);
    if (first !== undefined) return first;
  }
  try {
    return await Promise.any(asked);
  } catch (error) {
    const { errors } = error as AggregateError & { errors: unknown[] };
    throw errors.find(isSilence) ?? errors[0];
  }
}

/** Tells whether the error is a timeout: there was no answer at all, not even a refused connection. */
export function isSilence(error: unknown): boolean {
  return error instanceof Error && error.name === 'TimeoutError';
}

async function fetchOnce(url: URL, { accept, etag }: FetchOptions, signal: AbortSignal): Promise<Fetched> {
  const response = await fetch(url, {
    // Edge runtimes do not support `redirect: 'error'`.
    redirect: 'manual',
    signal,
    headers: { accept, ...(etag !== undefined && { 'if-none-match': etag }) },
  });
  if (isRedirect(response)) throw new Error(`${url.href} redirects`);
  const body = await boundedText(response, url);
  return { status: response.status, etag: response.headers.get('etag') ?? undefined, body };
}

/** Detects a redirect. Browsers and some edge runtimes report only the type `opaqueredirect`, without the status. */
function isRedirect({ type, status }: Response): boolean {
  return type === 'opaqueredirect' || (status >= 300 && status < 400 && status !== 304);
}

async function boundedText({ body }: Response, url: URL): Promise<string> {
  if (body === null) return '';
  const chunks: Uint8Array[] = [];
  let size = 0;
  // An error that ends the loop also closes the response.
  for await (const chunk of body as AsyncIterable<Uint8Array>) {
    size += chunk.length;
    if (size > MAX_BODY) throw new Error(`${url.href} answers with more than ${MAX_BODY} bytes`);
    chunks.push(chunk);
  }
  return textOf(chunks);
}
