export interface FetchOptions {
  /** Seconds. */
  timeout: number;
  accept: string;
  /** What was there the last time, so that the issuer may say that it still is. */
  etag?: string | undefined;
}

export interface Fetched {
  /** 304: what the `etag` stands for is still there. */
  readonly status: number;
  readonly etag: string | undefined;
  readonly body: string;
}

/** Bytes. The largest that are sensible: a status list of eight million bits that do not compress. */
const MAX_BODY = 2 ** 21;

/**
 * Fetches what an issuer publishes, within bounds of size and time and from nowhere but there.
 * @throws Error, also for a redirect
 */
export async function fetchFromIssuer(url: URL, { timeout, accept, etag }: FetchOptions): Promise<Fetched> {
  const response = await fetch(url, {
    redirect: 'error',
    signal: AbortSignal.timeout(timeout * 1000),
    headers: { accept, ...(etag !== undefined && { 'if-none-match': etag }) },
  });
  const body = await boundedText(response, url);
  return { status: response.status, etag: response.headers.get('etag') ?? undefined, body };
}

async function boundedText({ body }: Response, url: URL): Promise<string> {
  if (body === null) return '';
  const chunks: Uint8Array[] = [];
  let size = 0;
  // Leaving the loop early ends the response.
  for await (const chunk of body as AsyncIterable<Uint8Array>) {
    size += chunk.length;
    if (size > MAX_BODY) throw new Error(`${url.href} answers with more than ${MAX_BODY} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}
