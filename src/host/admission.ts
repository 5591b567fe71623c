import { X509Certificate } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { BlockList, isIP } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { Admitted } from '../http/request-facts.ts';

export interface Admission {
  /** Decides about a request before Koa runs. @returns false if its host is neither the issuer's nor an alias */
  admit(request: IncomingMessage): boolean;
  /** Returns the facts about an admitted request. */
  admitted(request: object): Admitted | undefined;
}

/**
 * Decides whether a request is for this server, and determines its sender. The engine builds URLs from the request's
 * host and protocol, so both are set to the issuer's once the host is accepted. Forwarding headers count only if a
 * trusted proxy sent them, and are removed in any case.
 */
export function admission(options: {
  issuer: string;
  aliases: readonly string[];
  trustedProxies: readonly string[];
  /** Header in which trusted proxies forward the client certificate. */
  certificateHeader?: string | undefined;
}): Admission {
  const admissions = new WeakMap<object, Admitted>();
  const issuer = new URL(options.issuer);
  const plain = plainHosts(issuer);
  const hosts = new Set([issuer.host, ...options.aliases].map(plain));
  const proxies = proxyList(options.trustedProxies);
  const protocol = issuer.protocol.slice(0, -1);

  const decide = (request: IncomingMessage): Admitted | undefined => {
    const { headers, socket } = request;
    const peer = plainAddress(socket.remoteAddress ?? '');
    const isProxy = proxies.has(peer);
    const hostOfTarget = takeHostOfTarget(request);
    const named = (isProxy ? lastOf(headers['x-forwarded-host']) : undefined) ?? hostOfTarget ?? headers.host;
    const host = named === undefined ? undefined : plain(named);
    if (host === undefined || !hosts.has(host)) return undefined;
    const address = isProxy ? callerBehind(proxies, peer, headers['x-forwarded-for']) : peer;
    const certificate = certificateOf(request, isProxy ? options.certificateHeader : undefined);
    delete headers['x-forwarded-host'];
    delete headers['x-forwarded-for'];
    delete headers.forwarded;
    headers['x-forwarded-proto'] = protocol;
    headers.host = issuer.host;
    return { address, host, certificate };
  };
  return {
    admit(request) {
      const admitted = decide(request);
      if (admitted !== undefined) admissions.set(request, admitted);
      return admitted !== undefined;
    },
    admitted: (request) => admissions.get(request),
  };
}

/** Returns the client's certificate. Behind a proxy only the header counts, as the TLS certificate is the proxy's. */
function certificateOf({ headers, socket }: IncomingMessage, header: string | undefined): X509Certificate | undefined {
  if (header !== undefined) return certificateFromHeader(String(headers[header] ?? ''));
  return socket instanceof TLSSocket ? socket.getPeerX509Certificate() : undefined;
}

/**
 * Parses a certificate header of a proxy: base64 between colons (RFC 9440 §2.2), plain base64, or PEM, which nginx
 * percent-encodes. @returns undefined for anything else
 */
function certificateFromHeader(value: string): X509Certificate | undefined {
  try {
    const text = value.includes('%') ? decodeURIComponent(value) : value;
    const base64 = text.replace(/-----(?:BEGIN|END) CERTIFICATE-----|^:|:$|\s/g, '');
    if (!/^[A-Za-z0-9+/]+={0,2}$/.test(base64)) return undefined;
    return new X509Certificate(Buffer.from(base64, 'base64'));
  } catch {
    return undefined;
  }
}

/** Normalises hosts: lower case, without the default port of the issuer's scheme, which some clients send. */
function plainHosts({ protocol }: URL): (host: string) => string {
  const defaultPort = protocol === 'https:' ? ':443' : ':80';
  return (host) => {
    const lower = host.toLowerCase();
    return lower.endsWith(defaultPort) ? lower.slice(0, -defaultPort.length) : lower;
  };
}

interface ProxyList {
  has(address: string): boolean;
}

/** @param ranges addresses and CIDR ranges, already validated */
function proxyList(ranges: readonly string[]): ProxyList {
  if (ranges.length === 0) return { has: () => false };
  const list = new BlockList();
  for (const range of ranges) {
    const [address = '', prefix] = range.split('/');
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
    list.addSubnet(address, Number(prefix ?? (family === 'ipv6' ? 128 : 32)), family);
  }
  return {
    has: (address) => {
      const version = isIP(address);
      return version !== 0 && list.check(address, version === 6 ? 'ipv6' : 'ipv4');
    },
  };
}

/**
 * Returns the host of a request target that is an absolute URL, and reduces the target to its path and query. This host
 * overrides the `Host` header (RFC 9112 §3.2.2).
 */
function takeHostOfTarget(request: IncomingMessage): string | undefined {
  if (request.url?.startsWith('/') !== false) return undefined;
  const target = URL.parse(request.url);
  if (target === null || target.host === '') return undefined;
  request.url = target.pathname + target.search;
  return target.host;
}

/**
 * Returns the last address of the header that is not a trusted proxy, because a stranger may have written everything to
 * its left. If an address cannot be parsed, returns the proxy that added it.
 */
function callerBehind(proxies: ProxyList, peer: string, header: string | string[] | undefined): string {
  let caller = peer;
  for (const hop of String(header ?? '')
    .split(',')
    .toReversed()) {
    const address = addressOf(hop.trim());
    if (isIP(address) === 0) return caller;
    caller = address;
    if (!proxies.has(caller)) return caller;
  }
  return caller;
}

/** Removes the port, which some proxies add: `192.0.2.1:4711`, `[2001:db8::1]:4711`. */
function addressOf(hop: string): string {
  const withPort = /^\[(.+)\](?::\d+)?$|^([\d.]+):\d+$/.exec(hop);
  return plainAddress(withPort?.[1] ?? withPort?.[2] ?? hop);
}

function lastOf(header: string | string[] | undefined): string | undefined {
  const last = String(header ?? '')
    .split(',')
    .at(-1)
    ?.trim();
  return last === '' ? undefined : last;
}

/** Returns the IPv4 address of a caller that a dual-stack socket shows as `::ffff:192.0.2.1`. */
function plainAddress(address: string): string {
  return address.startsWith('::ffff:') && isIP(address.slice(7)) === 4 ? address.slice(7) : address;
}
