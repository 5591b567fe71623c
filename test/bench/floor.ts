/**
 * The floor: what a bare `node:http` server needs for the same answer. It sends the bytes that the server sent, after as
 * many reads and writes of its store, as many signatures with `jose` and, for sign-in, one password hash. It checks
 * nothing, so a server that checks anything stays above it.
 *
 * Arguments: its port, the URL of its store.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type OutgoingHttpHeaders } from 'node:http';
import argon2 from 'argon2';
import { decodeJwt, decodeProtectedHeader, generateKeyPair, SignJWT } from 'jose';
import { passwordCost, PEOPLE_PASSWORD } from './config.ts';
import { openFloorStore } from './floor-store.ts';

/** What to do for each request, and what to answer. */
export interface Imitation {
  status: number;
  headers: OutgoingHttpHeaders;
  /** Each JWT in it is signed anew. */
  body: string;
  reads: number;
  writes: number;
  hashesPassword: boolean;
}

type Answer = Pick<Imitation, 'status' | 'headers' | 'body'>;

const [port, storeUrl = ''] = process.argv.slice(2);
const store = openFloorStore(storeUrl);
const keys = { ES256: await generateKeyPair('ES256'), RS256: await generateKeyPair('RS256') };
const passwordHash = await argon2.hash(PEOPLE_PASSWORD, {
  memoryCost: passwordCost.memory_kib,
  timeCost: passwordCost.passes,
  parallelism: passwordCost.parallelism,
});

let answer = imitate({ status: 200, headers: {}, body: '', reads: 0, writes: 0, hashesPassword: false });
process.on('message', (message) => {
  if (typeof message !== 'object') return;
  answer = imitate(message as Imitation);
  process.send?.('done');
});
createServer((request, response) => {
  readBody(request)
    .then(() => answer())
    .then(({ status, headers, body }) => response.writeHead(status, headers).end(body))
    .catch(fail);
}).listen(Number(port), '127.0.0.1');

function imitate({ status, headers, body, reads, writes, hashesPassword }: Imitation): () => Promise<Answer> {
  const signers = [...new Set(body.match(/eyJ[\w-]+\.eyJ[\w-]+\.[\w-]+/g))].map((token) => ({
    token,
    sign: signerOf(token),
  }));
  return async () => {
    for (let count = 0; count < reads; count += 1) await store.read();
    if (hashesPassword) await argon2.verify(passwordHash, PEOPLE_PASSWORD);
    let text = body;
    for (const { token, sign } of signers) text = text.replace(token, await sign());
    for (let count = 0; count < writes; count += 1) await store.write();
    return { status, headers: { ...headers, 'content-length': Buffer.byteLength(text) }, body: text };
  };
}

/** Signs what the server signed, with a key of the same kind. */
function signerOf(token: string): () => Promise<string> {
  const header = decodeProtectedHeader(token);
  const payload = decodeJwt(token);
  const { privateKey } = header.alg === 'RS256' ? keys.RS256 : keys.ES256;
  return () => new SignJWT(payload).setProtectedHeader({ ...header, alg: header.alg ?? 'ES256' }).sign(privateKey);
}

async function readBody(request: IncomingMessage): Promise<void> {
  if (request.headers['content-length'] !== undefined) await once(request.resume(), 'end');
}

function fail(error: unknown): void {
  process.stderr.write(`floor: ${String(error)}\n`);
  process.exitCode = 1;
}
