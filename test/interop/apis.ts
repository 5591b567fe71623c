import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import express, { type Express } from 'express';
import { auth } from 'express-oauth2-jwt-bearer';
import jwt, { type JwtHeader, type SigningKeyCallback } from 'jsonwebtoken';
import jwksRsa from 'jwks-rsa';

/** An API that software by others protects. */
export interface Api {
  /** What it answers a request with this token: `accepted`, or why not. */
  answerTo(token: string): Promise<string>;
  close(): Promise<void>;
}

export type MakeApp = (issuer: string, audience: string) => Express;

/** As the manual of express-oauth2-jwt-bearer shows. */
export function withJwtBearer(issuer: string, audience: string): Express {
  const app = newApp();
  app.use(auth({ issuerBaseURL: issuer, audience }));
  app.get('/', (_request, response) => void response.send('accepted'));
  return app;
}

/** As the manual of jwks-rsa shows for jsonwebtoken. @param settings go to jwks-rsa */
export function withJwksRsa(settings: { cacheMaxAge?: number } = {}): MakeApp {
  return (issuer, audience) => {
    const client = jwksRsa({ jwksUri: `${issuer}/jwks`, ...settings });
    const getKey = (header: JwtHeader, callback: SigningKeyCallback): void => {
      client.getSigningKey(header.kid, (error, key) => {
        callback(error, key?.getPublicKey());
      });
    };
    const app = newApp();
    app.get('/', (request, response) => {
      const [, token = ''] = (request.headers.authorization ?? '').split(' ');
      jwt.verify(token, getKey, { issuer, audience, algorithms: ['ES256', 'RS256'] }, (error) => {
        response.status(error === null ? 200 : 401).send(error?.message ?? 'accepted');
      });
    });
    return app;
  };
}

/** Silent about refusals. */
function newApp(): Express {
  return express().set('env', 'test');
}

export async function startApi(app: Express): Promise<Api> {
  const server = app.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    async answerTo(token) {
      const response = await fetch(`http://127.0.0.1:${port}/`, { headers: { authorization: `Bearer ${token}` } });
      const text = await response.text();
      return response.headers.get('www-authenticate') ?? text;
    },
    async close() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}
