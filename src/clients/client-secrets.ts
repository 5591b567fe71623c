import { signsWithSecret } from '../config/sections/client-auth-checks.ts';
import { secretToken } from '../lib/random.ts';
import { seal } from '../lib/seal.ts';
import { update } from '../storage/update.ts';
import { hashClientSecret, clientKey, durableClient, type ClientRecord, type ClientsOptions } from './clients.ts';

/** The new secret in plain text, and the validity of the previous one. */
interface RolledSecret {
  secret: string;
  previousStaysValid: boolean;
}

export type RollRefusal = 'absent' | 'configured' | 'registered-itself' | 'no-secret';

/** Secrets of the clients in the store. */
interface ClientSecrets {
  /** Returns the reason why `roll` would fail; undefined if it would succeed. */
  rollRefusal(clientId: string): Promise<RollRefusal | undefined>;
  /**
   * Rolls a client's secret. The previous secret stays valid beside the new one, so that the app keeps working. It
   * becomes invalid at once if it has leaked, or if the client signs with it, because a client has only one signing
   * secret.
   */
  roll(clientId: string, options: { hasLeaked: boolean }): Promise<RolledSecret | RollRefusal>;
}

export function openClientSecrets(options: ClientsOptions): ClientSecrets {
  const { records, configured } = options;
  const isConfigured = (clientId: string) => configured.some((client) => client.client_id === clientId);
  return {
    async rollRefusal(clientId) {
      if (isConfigured(clientId)) return 'configured';
      const stored = await records.get(clientKey(clientId));
      return stored === undefined ? 'absent' : problemOf(stored.value);
    },
    roll: async (clientId, { hasLeaked }) =>
      isConfigured(clientId) ? 'configured' : rollStored(options, clientId, hasLeaked),
  };
}

function problemOf({ registration, secret_hash: hash }: ClientRecord): RollRefusal | undefined {
  if (registration !== undefined) return 'registered-itself';
  return hash === undefined ? 'no-secret' : undefined;
}

async function rollStored(
  { records, random, sealingKey }: ClientsOptions,
  clientId: string,
  hasLeaked: boolean,
): Promise<RolledSecret | RollRefusal> {
  const secret = secretToken(random);
  const key = clientKey(clientId);
  const secretHash = hashClientSecret(secret, random);
  const roll = async (now: ClientRecord): Promise<ClientRecord | undefined> => {
    if (problemOf(now) !== undefined) return undefined;
    const { previous_secret_hash: _older, secret_hash: previous, ...client } = now;
    const signs = signsWithSecret(client);
    return {
      ...client,
      secret_hash: secretHash,
      ...(!hasLeaked && !signs && previous !== undefined && { previous_secret_hash: previous }),
      ...(signs && { sealed_secret: seal(await sealingKey(), secret, random) }),
    };
  };
  const now = await update(records, key, await records.get(key), roll, durableClient);
  if (now?.secret_hash === secretHash) return { secret, previousStaysValid: now.previous_secret_hash !== undefined };
  return (now && problemOf(now)) ?? 'absent';
}
