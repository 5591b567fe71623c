import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import express from 'express';
import fastify from 'fastify';
import { calculateJwkThumbprint } from 'jose';
import Koa from 'koa';
import {
  accessTokenOf,
  createVerifier,
  expressGuard,
  expressMetadata,
  fastifyGuard,
  fastifyMetadata,
  fetchGuard,
  fetchMetadata,
  koaGuard,
  koaMetadata,
} from '../../src/resource-server/resource-server.ts';
import type { Requirements, Verifier } from '../../src/resource-server/resource-server.ts';
import { newHolder, proof } from '../support/dpop.ts';
import { ask, bearer } from './api.ts';
import type { ApiAnswer, Asked } from './api.ts';
import { AUDIENCE, startIssuer } from './issuer.ts';
import type { Issuer } from './issuer.ts';
import { serve } from './serving.ts';
import type { Serving } from './serving.ts';

/** The year 2096: nonces and proofs go by the machine's clock here. */
const LATER = 4_000_000_000;
const METADATA = '/.well-known/oauth-protected-resource';

/** APIs that answer `/v1/notes` to whom the kit lets pass, and fail at `/v1/unguarded` for want of a guard. */
const frameworks: Record<string, (verifier: Verifier, requirements: Requirements) => Promise<Serving>> = {
  Express: async (verifier, requirements) => {
    const routes = express.Router();
    routes.get('/notes', expressGuard(verifier, requirements), (request, response) => {
      response.send(`for ${accessTokenOf(request).sub}`);
    });
    routes.get('/unguarded', (request, response) => {
      response.send(accessTokenOf(request).sub);
    });
    const app = express().set('env', 'test');
    app.use(expressMetadata(verifier));
    app.use('/v1', routes);
    return serve(app);
  },
  Koa: async (verifier, requirements) => {
    const app = new Koa();
    app.silent = true;
    app.use(koaMetadata(verifier));
    app.use(async (context, next) => {
      if (context.path === '/v1/unguarded') context.body = accessTokenOf(context).sub;
      else await next();
    });
    app.use(koaGuard(verifier, requirements));
    app.use((context) => {
      context.body = `for ${accessTokenOf(context).sub}`;
    });
    const handle = app.callback();
    return serve((request, response) => void handle(request, response));
  },
  Fastify: async (verifier, requirements) => {
    const app = fastify();
    app.addHook('onRequest', fastifyMetadata(verifier));
    app.get('/v1/notes', { onRequest: fastifyGuard(verifier, requirements) }, async (request, reply) => {
      await reply.send(`for ${accessTokenOf(request).sub}`);
    });
    app.get('/v1/unguarded', async (request) => accessTokenOf(request).sub);
    const url = await app.listen({ port: 0, host: '127.0.0.1' });
    const close = (): Promise<void> => app.close();
    return { port: Number(new URL(url).port), url, close, [Symbol.asyncDispose]: close };
  },
  'Fetch Request': async (verifier, requirements) => {
    const metadata = fetchMetadata(verifier);
    const notes = fetchGuard(verifier, requirements, (_request, token) => new Response(`for ${token.sub}`));
    return serve((incoming, outgoing) => {
      const headers = new Headers();
      for (const [name, values = []] of Object.entries(incoming.headersDistinct)) {
        for (const value of values) headers.append(name, value);
      }
      const request = new Request(`http://inside.local${incoming.url ?? ''}`, {
        headers,
        method: incoming.method ?? '',
      });
      const answer = async (): Promise<void> => {
        const response = metadata(request) ?? (await notes(request));
        outgoing.writeHead(response.status, [...response.headers].flat());
        outgoing.end(await response.text());
      };
      void answer();
    });
  },
};

for (const [name, start] of Object.entries(frameworks)) {
  describe(`An API on ${name}`, () => {
    let issuer: Issuer;
    let verifier: Verifier;
    let api: Serving;

    before(async () => {
      issuer = await startIssuer();
      verifier = createVerifier({ issuer: issuer.url, audience: AUDIENCE, dpop: { nonces: true } });
      api = await start(verifier, { scope: 'notes:read' });
    });
    after(async () => {
      await api.close();
      verifier.close();
      await issuer.close();
    });

    const askNotes = (asked: Asked): Promise<ApiAnswer> => ask(api.port, { path: '/v1/notes', ...asked });
    const token = (claims = {}): Promise<string> => issuer.token({ exp: LATER, ...claims });

    it('The API answers a request with a good token', async () => {
      const answer = await askNotes({ headers: bearer(await token()) });
      assert.deepEqual([answer.status, answer.body], [200, 'for account-1']);
      assert.equal(answer.headers['dpop-nonce'], undefined);
    });

    it('The API refuses a request without a token with all challenges and no error', async () => {
      const { status, body, challenges, headers } = await askNotes({});
      assert.deepEqual([status, body, headers['cache-control']], [401, '', 'no-store']);
      const told = challenges.join(', ');
      assert.match(told, /^Bearer realm="https:\/\/api\.example", resource_metadata="[^"]+", DPoP realm=.*, algs=/);
    });

    it('The API refuses a bad token with the error codes of RFC 6750', async () => {
      const expired = await askNotes({ headers: bearer(await token({ exp: 1 })) });
      const description = 'The access token expired';
      assert.deepEqual(JSON.parse(expired.body), { error: 'invalid_token', error_description: description });
      assert.match(expired.challenges[0] ?? '', /^Bearer .*error="invalid_token", error_description="The access token/);
      assert.match(expired.headers['content-type'] ?? '', /^application\/json/);
      const narrow = await askNotes({ headers: bearer(await token({ scope: 'openid' })) });
      assert.equal(narrow.status, 403);
      assert.match(narrow.challenges.join(), /^Bearer .*error="insufficient_scope".*, scope="notes:read"/);
    });

    it('The API refuses two Authorization headers and a token in the query', async () => {
      const good = ['Authorization', `Bearer ${await token()}`];
      const twice = await askNotes({ headers: ['Host', 'api.example', ...good, ...good] });
      const inQuery = await askNotes({ path: '/v1/notes?access_token=x' });
      assert.deepEqual([twice.status, inQuery.status], [400, 400]);
    });

    it('The API checks DPoP proofs against the URL that the client called, and issues nonces', async () => {
      const holder = await newHolder();
      const bound = await token({ cnf: { jkt: await calculateJwkThumbprint(holder.jwk) } });
      const ath = createHash('sha256').update(bound).digest('base64url');
      const send = async (claims: Record<string, string>): Promise<ApiAnswer> => {
        const dpop = await proof(holder, { htm: 'GET', htu: `${AUDIENCE}/v1/notes`, ath, ...claims });
        return askNotes({ path: '/v1/notes?page=2', headers: { authorization: `DPoP ${bound}`, dpop } });
      };
      const { challenges, headers } = await send({});
      assert.match(challenges.join(', '), /, DPoP .*error="use_dpop_nonce"/);
      const nonce = String(headers['dpop-nonce']);
      assert.equal((await send({ nonce })).body, 'for account-1');
      assert.equal((await send({ nonce, htu: `${AUDIENCE}/notes` })).status, 401);
    });

    it('The API serves its metadata', async () => {
      const { status, body, headers } = await askNotes({ path: METADATA });
      assert.deepEqual([status, JSON.parse(body)], [200, verifier.metadata?.document]);
      assert.match(headers['content-type'] ?? '', /^application\/json/);
    });

    // With Fetch the handler is given the token, so there is no way around the guard.
    if (name === 'Fetch Request') return;
    it('A route without a guard fails instead of answering an unknown caller', async () => {
      const headers = bearer(await token());
      assert.equal((await askNotes({ path: '/v1/unguarded', headers })).status, 500);
    });
  });
}
