import { Resolver } from 'node:dns/promises';
import { readFileSync } from 'node:fs';
import * as http from 'node:http';
import * as https from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import { getCACertificates } from 'node:tls';
import ipaddr from 'ipaddr.js';

/** Finds every address of a host name. */
type Resolve = (hostname: string) => Promise<string[]>;

export interface OutgoingOptions {
  /** Hosts that the operator allows to be private and to use http: `HOST` for any port, or `HOST:PORT`. */
  allow: readonly string[];
  /** A PEM file of additional certificate authorities, for the hosts in `allow`. */
  ca?: string | undefined;
  /** Resolves hosts that are not in `allow`. */
  resolve?: Resolve;
  /** Largest accepted body in bytes. */
  maxBytes?: number;
  /** Longest time from the call to the last byte of the response, in milliseconds. */
  timeout?: number;
}

/** Error for a URL that was not called, or whose response was refused. The message is for the operator. */
export class OutgoingRefused extends Error {
  override name = 'OutgoingRefused';
}

/**
 * Creates a `fetch` for addresses that strangers chose (RFC 7591 §5). It opens a connection for each call, reads the
 * whole response before returning, follows no redirects, refuses compressed bodies, and uses neither cookies nor
 * proxies.
 */
export function outgoingFetch(options: OutgoingOptions): typeof fetch {
  const { maxBytes = 262_144, timeout = 5000, resolve = resolvePublicly } = options;
  const allowed = listed(options.allow);
  const trusted = options.ca === undefined ? {} : { ca: [...getCACertificates(), ...authoritiesIn(options.ca)] };
  return async (input, init) => {
    const request = new Request(input, init);
    const url = new URL(request.url);
    const signal = AbortSignal.any([request.signal, AbortSignal.timeout(timeout)]);
    const guard = isListed(url, allowed) ? trusted : { lookup: publicLookup(checked(url, resolve)) };
    try {
      const answer = await send(url, request, { signal, ...guard });
      return response(answer, await bytesOf(answer, maxBytes));
    } catch (error) {
      throw signal.aborted ? signal.reason : error;
    }
  };
}

/**
 * Reads the certificates of a PEM file.
 * @throws Error if it has none, because every call that needs them would fail later
 */
function authoritiesIn(file: string): string[] {
  const blocks = readFileSync(file, 'utf8').match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  if (blocks.length === 0) throw new Error(`outgoing.ca: ${file} must hold certificates in PEM, and has none`);
  return blocks;
}

/** Explains why a URL would never be called, for the person who supplied it; undefined if only a call can tell. */
export function whyNotCalled(url: string, allow: readonly string[]): string | undefined {
  const parsed = new URL(url);
  if (isListed(parsed, listed(allow))) return undefined;
  if (parsed.protocol !== 'https:') return 'must be https';
  const literal = literalOf(parsed);
  return isIP(literal) === 0 || isPublicAddress(literal) ? undefined : 'must not be a private address';
}

function listed(allow: readonly string[]): Set<string> {
  return new Set(allow.map((host) => host.toLowerCase()));
}

function literalOf({ hostname }: URL): string {
  return hostname.replace(/^\[(.*)\]$/, '$1');
}

function isListed({ hostname, port, protocol }: URL, allowed: ReadonlySet<string>): boolean {
  const effectivePort = port === '' ? (protocol === 'https:' ? '443' : '80') : port;
  return /^https?:$/.test(protocol) && (allowed.has(hostname) || allowed.has(`${hostname}:${effectivePort}`));
}

/**
 * Checks a URL, and returns `resolve`. A host name is judged only by its addresses, when they are resolved.
 * @throws OutgoingRefused if the URL alone shows that it must not be called
 */
function checked(url: URL, resolve: Resolve): Resolve {
  const { protocol, hostname } = url;
  if (protocol !== 'https:') throw new OutgoingRefused(`${protocol}//${hostname} is not https: see outgoing.allow`);
  const literal = literalOf(url);
  if (isIP(literal) !== 0) refuseUnlessPublic(hostname, [literal]);
  return resolve;
}

function refuseUnlessPublic(hostname: string, addresses: readonly string[]): void {
  if (addresses.length > 0 && addresses.every(isPublicAddress)) return;
  throw new OutgoingRefused(`${hostname} has no address, or one that is not public: see outgoing.allow`);
}

/** Resolves a host and checks the very addresses that the socket connects to, which defeats DNS rebinding. */
function publicLookup(resolve: Resolve): LookupFunction {
  return (hostname, { all }, callback) => {
    const answer = async (): Promise<{ address: string; family: number }[]> => {
      const addresses = await resolve(hostname);
      refuseUnlessPublic(hostname, addresses);
      return addresses.map((address) => ({ address, family: isIP(address) }));
    };
    answer().then(
      (found) => (all === true ? callback(null, found) : callback(null, found[0]?.address ?? '', found[0]?.family)),
      (error: unknown) => callback(error as NodeJS.ErrnoException, []),
    );
  };
}

/**
 * Queries DNS directly, without this machine's search domains and hosts file. The system resolver would block one of
 * the few threads that hash passwords and sign tokens, while it waits for a stranger's name server.
 */
async function resolvePublicly(hostname: string): Promise<string[]> {
  const resolver = new Resolver({ timeout: 1000, tries: 2 });
  const found = await Promise.allSettled([resolver.resolve4(hostname), resolver.resolve6(hostname)]);
  return found.flatMap((result) => (result.status === 'fulfilled' ? result.value : []));
}

async function send(url: URL, request: Request, options: https.RequestOptions): Promise<http.IncomingMessage> {
  const body = request.body === null ? '' : Buffer.from(await request.arrayBuffer());
  const headers = { ...Object.fromEntries(request.headers), 'accept-encoding': 'identity' };
  return new Promise((resolve, reject) => {
    // The shared agent would keep connections open, and use proxies from the environment.
    const call = { ...options, method: request.method, headers, agent: false };
    (url.protocol === 'https:' ? https : http).request(url, call, resolve).on('error', reject).end(body);
  });
}

async function bytesOf(answer: http.IncomingMessage, maxBytes: number): Promise<Buffer> {
  const { statusCode = 0, headers } = answer;
  const refuse = (reason: string): never => {
    answer.destroy();
    throw new OutgoingRefused(`answered ${reason}`);
  };
  if (statusCode >= 300 && statusCode < 400) refuse(`${statusCode}, and redirects are not followed`);
  if ((headers['content-encoding'] ?? 'identity') !== 'identity') refuse('in a compressed form');
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > maxBytes) refuse(`with more than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function response({ statusCode = 0, headersDistinct }: http.IncomingMessage, bytes: Buffer): Response {
  const headers = new Headers();
  for (const [name, values = []] of Object.entries(headersDistinct)) {
    for (const value of values) headers.append(name, value);
  }
  return new Response(bytes.length === 0 ? null : new Uint8Array(bytes), { status: statusCode, headers });
}

/** The assigned part of the global unicast addresses (RFC 4291 §2.4). It excludes translated IPv4 addresses. */
const GLOBAL_UNICAST = ipaddr.IPv6.parseCIDR('2000::/3');

/**
 * Tells whether a resolved address is on the public internet: not on this machine or its networks, and no multicast,
 * tunnel or reserved address (RFC 6890 and the IANA special-purpose registries).
 */
export function isPublicAddress(text: string): boolean {
  if (isIP(text) === 0) return false;
  const address = ipaddr.parse(text);
  if (address.range() !== 'unicast') return false;
  return address.kind() === 'ipv4' || address.match(GLOBAL_UNICAST);
}
