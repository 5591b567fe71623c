import assert from 'node:assert/strict';
import {
  getListFromStatusListJWT,
  getStatusListFromJWT,
  type StatusList,
  type StatusListEntry,
} from '@sd-jwt/jwt-status-list';
import jwt from 'jsonwebtoken';
import jwksRsa from 'jwks-rsa';
import { tokenRequest } from '../support/flows.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { startApi, withJwtBearer, type Api } from './apis.ts';
import { apiOf } from '../support/tokens.ts';
import { until } from '../support/until.ts';

const SERVICE = 'demo-service:demo-service-secret';

describe('The status lists in other software', () => {
  let server: TestServer;
  let api: Api;
  before(async () => {
    server = await startTestServer();
    api = await startApi(withJwtBearer(server.issuer, apiOf(server.issuer)));
  });
  after(async () => {
    await api.close();
    await server.close();
  });

  async function newToken(): Promise<string> {
    const request = { grant_type: 'client_credentials', scope: 'notes:read' };
    const { status, body } = await tokenRequest(server.issuer, request, SERVICE);
    assert.equal(status, 200, JSON.stringify(body));
    return String(body['access_token']);
  }

  async function revoke(token: string): Promise<void> {
    const response = await fetch(`${server.issuer}/revoke`, {
      method: 'POST',
      headers: { authorization: `Basic ${btoa(SERVICE)}` },
      body: new URLSearchParams({ token }),
    });
    assert.equal(response.status, 200);
  }

  /** Verified with jsonwebtoken, by the keys that jwks-rsa finds. */
  async function listAt(uri: string): Promise<string> {
    const list = await (await fetch(uri)).text();
    const { header } = jwt.decode(list, { complete: true }) ?? {};
    const key = await jwksRsa({ jwksUri: `${server.issuer}/jwks` }).getSigningKey(header?.kid);
    const { issuer } = server;
    const claims = jwt.verify(list, key.getPublicKey(), {
      algorithms: ['ES256'],
      issuer,
      subject: uri,
    }) as jwt.JwtPayload;
    assert.equal(header?.typ, 'statuslist+jwt');
    assert.equal(claims['ttl'], server.config.status_lists.ttl - 1);
    return list;
  }

  async function statusesOf(entries: readonly StatusListEntry[]): Promise<number[]> {
    const uris = [...new Set(entries.map(({ uri }) => uri))];
    const lists = new Map<string, StatusList>();
    for (const uri of uris) lists.set(uri, getListFromStatusListJWT(await listAt(uri)));
    return entries.map(({ uri, idx }) => lists.get(uri)?.getStatus(idx) ?? NaN);
  }

  it('@sd-jwt/jwt-status-list reads from the list whether each token was revoked', async () => {
    const tokens = await Promise.all(Array.from({ length: 40 }, newToken));
    const entries = tokens.map((token) => getStatusListFromJWT(token));
    assert.deepEqual(new Set(await statusesOf(entries)), new Set([0]));
    const taken = tokens.map((_, at) => (at % 3 === 0 ? 1 : 0));
    await Promise.all(tokens.filter((_, at) => taken[at] === 1).map(revoke));
    const due = taken.filter((status) => status === 1).length;
    let found: number[] = [];
    await until(async () => {
      found = await statusesOf(entries);
      return found.filter((status) => status !== 0).length >= due;
    });
    assert.deepEqual(found, taken);
  });

  it('express-oauth2-jwt-bearer accepts tokens that have a status claim', async () => {
    const token = await newToken();
    assert.equal(typeof getStatusListFromJWT(token).idx, 'number');
    assert.equal(await api.answerTo(token), 'accepted');
  });
});
