import assert from 'node:assert/strict';
import { request } from 'node:http';
import { createRemoteJWKSet, jwtVerify, type JWTHeaderParameters, type JWTPayload } from 'jose';
import pino from 'pino';
import { openConsents } from '../../src/accounts/consents.ts';
import { openClients } from '../../src/clients/clients.ts';
import type { Config } from '../../src/config/schema.ts';
import { Secret } from '../../src/config/secret.ts';
import { announceTo } from '../../src/events/events.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { systemRandom } from '../../src/lib/random.ts';
import type { AccountEvent } from '../../src/signals/account-event.ts';
import { openSignals } from '../../src/signals/signals.ts';
import { openStores } from '../../src/storage/open-stores.ts';
import { withAccount } from '../oidc/behind-the-server.ts';
import { tokenRequest } from '../support/flows.ts';
import { freePort } from '../support/free-port.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

const SECRET = 'receiver-secret';
export const PUSH = 'urn:ietf:rfc:8935';
export const POLL = 'urn:ietf:rfc:8936';
const TYPES = 'https://schemas.openid.net/secevent';
export const SESSION_REVOKED = `${TYPES}/caep/event-type/session-revoked`;
export const CREDENTIAL_CHANGE = `${TYPES}/caep/event-type/credential-change`;
export const TOKEN_CLAIMS_CHANGE = `${TYPES}/caep/event-type/token-claims-change`;
export const ACCOUNT_DISABLED = `${TYPES}/risc/event-type/account-disabled`;
export const ACCOUNT_ENABLED = `${TYPES}/risc/event-type/account-enabled`;
export const ACCOUNT_PURGED = `${TYPES}/risc/event-type/account-purged`;
export const VERIFICATION = `${TYPES}/ssf/event-type/verification`;
export const STREAM_UPDATED = `${TYPES}/ssf/event-type/stream-updated`;

type Client = Config['clients'][number];
type Change = (config: Config) => Config;

/** Lets the demo's web app and two machine clients receive, one of them about every account. */
export function withSignals(
  options: {
    allow?: string[];
    settings?: Partial<Config['shared_signals']>;
    clients?: Record<string, Partial<Client>>;
  } = {},
): Change {
  return (config) => {
    const service = config.clients.find(({ client_id: id }) => id === 'demo-service');
    assert.ok(service !== undefined);
    const events: NonNullable<Client['shared_signals']>['events'] = [
      ...['session-revoked', 'credential-change', 'token-claims-change'],
      ...['account-disabled', 'account-enabled', 'account-purged'],
    ] as const;
    const machine = (client_id: string, accounts: 'own' | 'all'): Client => ({
      ...service,
      client_id,
      secret: new Secret(SECRET),
      shared_signals: { events, accounts },
    });
    const web: Partial<Client> = {
      grant_types: ['authorization_code', 'refresh_token', 'client_credentials'],
      shared_signals: { events, accounts: 'own' },
    };
    const all = [...config.clients, machine('watch', 'all'), machine('stranger', 'own')];
    return {
      ...config,
      outgoing: { allow: options.allow ?? [] },
      shared_signals: { ...config.shared_signals, enabled: true, ...options.settings },
      clients: all.map((client) => ({
        ...client,
        ...(client.client_id === 'demo-web' && web),
        ...options.clients?.[client.client_id],
      })),
    };
  };
}

interface Answer {
  readonly status: number;
  readonly body: Record<string, unknown>;
  readonly headers: Headers;
}

/** A receiver's side of the management API. */
export class Receiver {
  readonly client: string;
  readonly #base: string;
  readonly #token: string;

  constructor(base: string, client: string, token: string) {
    this.#base = base;
    this.client = client;
    this.#token = token;
  }

  /** @param base another node's address, where it is not the issuer's */
  static async of(issuer: string, client: string, options: { scope?: string; base?: string } = {}): Promise<Receiver> {
    const secret = client === 'demo-web' ? 'demo-web-secret' : SECRET;
    const parameters = { grant_type: 'client_credentials', scope: options.scope ?? 'ssf.manage' };
    const { status, body } = await tokenRequest(issuer, parameters, `${client}:${secret}`);
    assert.equal(status, 200, JSON.stringify(body));
    return new Receiver(options.base ?? issuer, client, String(body['access_token']));
  }

  async call(method: string, path: string, body?: unknown): Promise<Answer> {
    const response = await fetch(new URL(path, this.#base), {
      method,
      headers: { authorization: `Bearer ${this.#token}` },
      ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    const read = text === '' ? {} : (JSON.parse(text) as Record<string, unknown>);
    return { status: response.status, body: read, headers: response.headers };
  }

  /** Begins to wait for events, and hangs up after so many milliseconds. */
  leave(stream: string, after: number): Promise<void> {
    return new Promise((resolve) => {
      const options = { method: 'POST', agent: false, headers: { authorization: `Bearer ${this.#token}` } };
      const sent = request(new URL(`/ssf/poll/${stream}`, this.#base), options);
      sent.once('finish', () => setTimeout(() => sent.destroy(), after));
      sent.once('close', resolve).on('error', () => undefined);
      // Names that the server looks for before it waits.
      sent.end(JSON.stringify({ ack: Array.from({ length: 300 }, (_, index) => `none-${index}`) }));
    });
  }

  /** @returns the stream's id */
  async stream(supplied: { delivery?: object; events_requested?: string[]; description?: string }): Promise<string> {
    const { status, body } = await this.call('POST', '/ssf/streams', supplied);
    assert.equal(status, 201, JSON.stringify(body));
    return String(body['stream_id']);
  }

  /** @returns the events by their names, in order */
  async poll(stream: string, asked: object = {}): Promise<{ sets: Record<string, string>; moreAvailable: boolean }> {
    const { status, body } = await this.call('POST', `/ssf/poll/${stream}`, { returnImmediately: true, ...asked });
    assert.equal(status, 200, JSON.stringify(body));
    return body as unknown as { sets: Record<string, string>; moreAvailable: boolean };
  }
}

export interface Set {
  readonly header: JWTHeaderParameters;
  readonly claims: JWTPayload;
  /** The one event: its type and what it says. */
  readonly type: string;
  readonly event: Record<string, unknown>;
  readonly subject: Record<string, unknown>;
}

/** Verifies an event as its receiver would: with the keys that the transmitter's metadata names (RFC 8417 §4). */
export async function verifySet(issuer: string, token: string, audience: string): Promise<Set> {
  const metadata = await fetch(new URL('/.well-known/ssf-configuration', issuer));
  const { jwks_uri: keys } = (await metadata.json()) as { jwks_uri: string };
  const verified = await jwtVerify(token, createRemoteJWKSet(new URL(keys)), { issuer, audience, typ: 'secevent+jwt' });
  const { protectedHeader: header, payload: claims } = verified;
  const events = Object.entries(claims['events'] as Record<string, Record<string, unknown>>);
  assert.equal(events.length, 1);
  const [type = '', event = {}] = events[0] ?? [];
  return { header, claims, type, event, subject: claims['sub_id'] as Record<string, unknown> };
}

/** Says what happened as a command would: on the stores, beside the servers. */
export async function publish(config: Config, ...events: AccountEvent[]): Promise<void> {
  const stores = await openStores(config.stores, systemClock);
  const base = { config, ...stores, clock: systemClock, random: systemRandom };
  const clients = openClients({ ...base, configured: config.clients, sealingKey: () => Promise.resolve('none') });
  const announce = announceTo(pino({ level: 'silent' }));
  const signals = openSignals({ ...base, clients, consents: openConsents(stores.records), announce });
  for (const event of events) await signals.publish(event);
  await stores.close();
}

/** The id of an account of the demo. */
export async function accountId(server: TestServer, email: string): Promise<string> {
  let found = '';
  await withAccount(server, email, async (_accounts, { id }) => {
    found = id;
  });
  return found;
}

let count = 0;

/** Something that happened to an account just now; a session that ended where nothing else is said. */
export function event(account: string, what: Partial<AccountEvent> = {}): AccountEvent {
  count += 1;
  const common = { id: `rev_${count}`, account, at: Date.now(), initiatedBy: 'user', reason: 'The person signed out' };
  return { ...common, type: 'session-revoked', ...what } as AccountEvent;
}

/** So many sessions of an account that ended at an app, `sid-0` first. */
export function signOuts(account: string, count: number): AccountEvent[] {
  return Array.from({ length: count }, (_, at) =>
    event(account, { type: 'session-revoked', sessions: [{ client: 'demo-notes', sid: `sid-${at}` }] }),
  );
}

/** A second node of a server, at an address of its own. */
export async function startSecondNode(
  first: Pick<TestServer, 'directory' | 'issuer'>,
  store: string,
  change: Change,
): Promise<TestServer & { url: string }> {
  const port = await freePort();
  const second = await startTestServer({
    sameAs: first,
    store,
    port,
    change: (config) => {
      const changed = change(config);
      return { ...changed, listen: { ...changed.listen, aliases: [`localhost:${port}`] } };
    },
  });
  return { ...second, url: `http://localhost:${port}` };
}
