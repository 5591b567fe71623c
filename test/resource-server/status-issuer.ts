import type { RequestListener, ServerResponse } from 'node:http';
import { deflateSync } from 'node:zlib';
import { createHash } from 'node:crypto';
import { SignJWT } from 'jose';
import type { CryptoKey, JWTHeaderParameters, JWTPayload } from 'jose';
import { NOW, startIssuer } from './issuer.ts';
import type { Issuer } from './issuer.ts';

/** A published status list, to be changed by tests. */
export interface PublishedList {
  readonly uri: string;
  bits: 1 | 2 | 4 | 8;
  /** Status by place; the others are good. */
  readonly statuses: Map<number, number>;
  /** Places that the list has. */
  size: number;
  /** Over the claims of a good list. */
  claims: JWTPayload;
  typ: string;
  /** More for its header. */
  header: Partial<JWTHeaderParameters>;
  key: CryptoKey;
  /** When set, it answers so instead. */
  instead: RequestListener | undefined;
  /** Status codes of its answers, in order. */
  readonly answers: number[];
}

export interface StatusIssuer extends Issuer {
  list(name: string): PublishedList;
  /** A good token with a place in that list. */
  tokenAt(list: PublishedList, idx: number, claims?: JWTPayload): Promise<string>;
}

/** An issuer whose tokens have their places in status lists. */
export async function startStatusIssuer(): Promise<StatusIssuer> {
  const issuer = await startIssuer();
  return Object.assign(issuer, {
    list(name: string): PublishedList {
      const uri = `${issuer.url}/status/${name}`;
      const list: PublishedList = {
        ...{ uri, bits: 1, statuses: new Map(), size: 1024, claims: {}, typ: 'statuslist+jwt', header: {} },
        ...{ key: issuer.key.privateKey, instead: undefined, answers: [] },
      };
      issuer.routes.set(new URL(uri).pathname, (request, response) => {
        response.on('finish', () => list.answers.push(response.statusCode));
        if (list.instead !== undefined) list.instead(request, response);
        else void publish(list, request.headers['if-none-match'], response);
      });
      return list;
    },
    tokenAt: ({ uri }: PublishedList, idx: number, claims: JWTPayload = {}) =>
      issuer.token({ status: { status_list: { uri, idx } }, ...claims }),
  });
}

async function publish(list: PublishedList, known: string | undefined, response: ServerResponse): Promise<void> {
  const { uri, bits, typ, key, claims, header } = list;
  const content = { iat: NOW, exp: NOW + 320, sub: uri, ttl: 10, status_list: { bits, lst: packed(list) }, ...claims };
  const etag = `"${createHash('sha256').update(JSON.stringify(content)).digest('base64url')}"`;
  response.setHeader('ETag', etag);
  if (known === etag) {
    response.writeHead(304).end();
    return;
  }
  response.setHeader('Content-Type', 'application/statuslist+jwt');
  response.end(await new SignJWT(content).setProtectedHeader({ alg: 'ES256', typ, kid: 'first', ...header }).sign(key));
}

/** draft-ietf-oauth-status-list §4.1: the first place is in the lowest bits of the first byte. */
function packed({ bits, size, statuses }: PublishedList): string {
  const bytes = Buffer.alloc((size * bits) / 8);
  for (const [idx, status] of statuses) {
    const at = Math.floor((idx * bits) / 8);
    bytes[at] = (bytes[at] ?? 0) | (status << ((idx * bits) % 8));
  }
  return deflateSync(bytes).toString('base64url');
}
