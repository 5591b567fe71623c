import { errors, Provider, type Adapter, type AdapterPayload } from 'oidc-provider';
import type { Config } from '../../config/schema.ts';
import type { Clients } from '../../clients/clients.ts';
import type { Revoke } from '../../events/events.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Random } from '../../lib/random.ts';
import { enterClient, indexesOf, tokensOfGrant } from '../../status/token-indexes.ts';
import {
  openRecord,
  sealedKeyspace,
  sealRecord,
  type Index,
  type Key,
  type Sealed,
  type Store,
  type WriteOptions,
} from '../../storage/store.ts';
import { lifetime } from '../../sessions/session-records.ts';
import { clientMetadata } from '../clients/client-metadata.ts';
import { EXPIRED_QUESTION_LIFE } from '../lifetimes.ts';
import { revokesGrants } from '../one-revocation.ts';
import { update } from '../../storage/update.ts';
import { startOf, unsupported } from './adapter-verbs.ts';
import { grantAdapter } from './grant-adapter.ts';
import type { PendingKind, PendingRequests } from './pending-requests.ts';
import { replayAdapter } from './replay-adapter.ts';
import { sessionAdapter } from './session-adapter.ts';
import type { UserCodes } from './user-codes.ts';

/** The record of a token, a code or a pending request. */
export interface SealedPayload extends Sealed<AdapterPayload> {
  /**
   * Start of the request that wrote the record, in milliseconds since the epoch; absent if the record cannot be
   * revoked.
   */
  startedAt?: number;
}

const sealedKeys: Record<string, (secret: string) => Key<SealedPayload>> = {
  AccessToken: sealedKeyspace<SealedPayload>('access-token'),
  AuthorizationCode: sealedKeyspace<SealedPayload>('authorization-code'),
  BackchannelAuthenticationRequest: sealedKeyspace<SealedPayload>('backchannel-request'),
  ClientCredentials: sealedKeyspace<SealedPayload>('client-credentials'),
};
const pushedRequestKey = sealedKeyspace<SealedPayload>('pushed-authorization-request');
const deviceCodeKey = sealedKeyspace<SealedPayload>('device-code');

interface AdapterOptions {
  grants: Store;
  clients: Clients;
  clock: Clock;
  random: Random;
  /** Adapters by model that replace the usual ones. */
  adapters: Readonly<Record<string, Adapter>>;
  userCodes: UserCodes;
  pending: PendingRequests;
  config: Pick<Config, 'profile' | 'keys' | 'sessions'>;
  /** Called before a client gets any data of an account. */
  introduce: (account: string, client: string) => Promise<void>;
  /** Rejects if the server cannot sign tokens now. */
  canSign: () => Promise<void>;
  revoke: Revoke;
}

/** Returns the record key of an opaque token. */
export function recordOf({ kind, jti }: { kind: string; jti: string }): Key<SealedPayload> {
  const keys = sealedKeys[kind];
  if (keys === undefined) throw new Error(`there are no records of ${kind}`);
  return keys(jti);
}

/** Bridges the engine's Adapter to the storage port: one adapter for each of the engine's models. */
export function adapterFactory(options: AdapterOptions): (model: string) => Adapter {
  return (model) => {
    const own = options.adapters[model];
    const keys = sealedKeys[model];
    if (own !== undefined) return own;
    if (keys !== undefined) {
      const adapter = usedToSign(sealedAdapter(options, keys), options.canSign);
      return model === 'AccessToken' ? revokesGrants(adapter, options.revoke) : adapter;
    }
    switch (model) {
      case 'DeviceCode':
        return counted('device', deviceCodeAdapter(options), options.pending);
      case 'PushedAuthorizationRequest':
        return counted(
          'pushed',
          usedToSign(sealedAdapter(options, pushedRequestKey), options.canSign),
          options.pending,
        );
      case 'Session':
        return sessionAdapter(options);
      case 'Grant':
        return introducing(grantAdapter(options.grants, options.clock), options.introduce);
      case 'ReplayDetection':
        return replayAdapter({
          grants: options.grants,
          pending: options.pending,
          clockSkew: options.config.keys.clock_skew,
        });
      case 'Client':
        return clientAdapter(options);
      default:
        return unsupported;
    }
  };
}

/** Adapter that seals its records, and indexes them for revocations. */
export function sealedAdapter(
  { grants, clock, random }: Pick<AdapterOptions, 'grants' | 'clock' | 'random'>,
  keyOf: (id: string) => Key<SealedPayload>,
): Adapter {
  return {
    ...unsupported,
    async upsert(id, payload, ttl) {
      const indexes = foundBy(payload);
      const record = sealRecord(id, payload, random);
      const value = { ...record, ...(indexes.length > 0 && { startedAt: startOf(Provider.ctx, clock) }) };
      const write = { key: keyOf(id), value, options: { ...recordLife(payload, ttl), indexes } };
      // These opaque tokens have no account by which a revocation could find them, so their client is listed.
      if (payload.kind === 'ClientCredentials') await enterClient(grants, payload.clientId ?? '', ttl ?? 1);
      if (!waitsForAnswer(payload)) await grants.set(write.key, write.value, write.options);
      else await answerOnce(grants, write, (now) => openRecord(id, now));
    },
    async find(id) {
      const stored = await grants.get(keyOf(id));
      if (stored === undefined) return undefined;
      const payload = openRecord(id, stored.value);
      if (stored.consumedAt === undefined) return payload;
      return { ...payload, consumed: Math.floor(stored.consumedAt / 1000) };
    },
    async consume(id) {
      const { use } = await grants.consume(keyOf(id));
      // One of several concurrent requests wins. The others have passed the engine's own check, and fail here (RFC 6749
      // §4.1.2).
      if (use !== 'first') throw new errors.InvalidGrant('lost the race for a single use');
    },
    async destroy(id) {
      await grants.delete(keyOf(id));
    },
    // The access token adapter revokes the whole grant.
    revokeByGrantId: () => Promise.resolve(),
  };
}

/**
 * Returns the life of a record. The record of a request that waits for a person is kept for a while after the request
 * expires.
 */
function recordLife(payload: AdapterPayload, ttl: number | undefined): { ttl?: number } {
  const rest = waitsForAnswer(payload) ? EXPIRED_QUESTION_LIFE : 0;
  return lifetime(ttl === undefined ? undefined : Math.max(ttl, 0) + rest);
}

/** Returns the indexes by which a revocation finds a record. */
function foundBy({ kind, clientId = '', accountId, grantId }: AdapterPayload): Index<unknown>[] {
  if (kind === 'AccessToken' || kind === 'ClientCredentials') return indexesOf({ clientId, accountId, grantId });
  return grantId === undefined ? [] : [tokensOfGrant(grantId)];
}

/** Leaves a code or request unused if the server cannot sign tokens now. */
function usedToSign(adapter: Adapter, canSign: AdapterOptions['canSign']): Adapter {
  return {
    ...adapter,
    async consume(id) {
      await canSign();
      await adapter.consume(id);
    },
  };
}

/** Counts a pending request when it arrives, and not again when its answer is written. */
function counted(kind: PendingKind, adapter: Adapter, pending: PendingRequests): Adapter {
  return {
    ...adapter,
    async upsert(id, payload, ttl) {
      const route = Provider.ctx?.oidc.route ?? '';
      if (['pushed_authorization_request', 'device_authorization'].includes(route)) await pending.admit(kind, payload);
      await adapter.upsert(id, payload, ttl);
    },
  };
}

/**
 * Reports the account and the client of a grant before it is stored. From then on, the client may receive events about
 * the account.
 */
function introducing(adapter: Adapter, introduce: AdapterOptions['introduce']): Adapter {
  return {
    ...adapter,
    async upsert(id, payload, ttl) {
      const { accountId, clientId } = payload;
      if (accountId !== undefined && clientId !== undefined) await introduce(accountId, clientId);
      await adapter.upsert(id, payload, ttl);
    },
  };
}

/**
 * Adapter for device codes. It does not store the engine's mark that a person has entered the code, so that a person
 * who gave up may enter it again.
 */
function deviceCodeAdapter(options: AdapterOptions): Adapter {
  const { userCodes } = options;
  const codes = usedToSign(sealedAdapter(options, deviceCodeKey), options.canSign);
  return {
    ...codes,
    async upsert(id, { inFlight: _underWay, ...payload }, ttl) {
      const isOurs = await userCodes.remember(payload.userCode ?? '', id, recordLife(payload, ttl));
      if (!isOurs) throw new errors.TemporarilyUnavailable('the code is in use; ask again');
      await codes.upsert(id, payload, ttl);
    },
    async findByUserCode(userCode) {
      const id = await userCodes.deviceCodeOf(userCode);
      return id === undefined ? undefined : codes.find(id);
    },
  };
}

function clientAdapter({ clients, config }: AdapterOptions): Adapter {
  return {
    ...unsupported,
    async find(id) {
      const client = await clients.find(id);
      return client === undefined ? undefined : clientMetadata(client, config);
    },
  };
}

/** Tells whether a record belongs to a request that waits for a person on another device. */
function waitsForAnswer({ kind }: AdapterPayload): boolean {
  return kind === 'DeviceCode' || kind === 'BackchannelAuthenticationRequest';
}

/**
 * Stores a request, and later its first answer. The engine checks that the request is open, asks the person, and
 * minutes later writes the whole record. A second answer must not overwrite the first, because the client could then
 * fetch an answer twice. @throws InvalidRequest if the request has been answered already
 */
async function answerOnce<T>(
  grants: Store,
  { key, value, options }: { key: Key<T>; value: T; options: WriteOptions },
  read: (stored: T) => AdapterPayload,
): Promise<void> {
  if (await grants.create(key, value, options)) return;
  const change = (now: T): T => {
    const { grantId, error } = read(now);
    if (grantId !== undefined || error !== undefined) throw new errors.InvalidRequest('it has been answered already');
    return value;
  };
  await update(grants, key, await grants.get(key), change, options);
}
