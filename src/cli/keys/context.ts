import type { Config } from '../../config/schema.ts';
import type { Domain } from '../../domain/domain.ts';
import { type MasterKey, openMasterKey } from '../../keys/master-key.ts';
import type { External } from '../../keys/external-keys.ts';
import { absentSigner, SignerUnavailable } from '../../keys/external-signing.ts';
import { openExternal } from '../../keys/open-external.ts';
import { ringRecords, type RingRecords } from '../../keys/ring-record.ts';
import { snapshotOf, type RingContent, type RingSnapshot } from '../../keys/ring.ts';
import { changeRing, storedRing, type TransitionOptions } from '../../keys/transitions.ts';
import { timetableOf } from '../../keys/timetable.ts';
import type { ChosenConfig } from '../choose-config.ts';
import type { Arguments, Terminal } from '../command.ts';
import { withDomain } from '../store-context.ts';

/** Context of a `keys` action. */
export interface KeysContext {
  chosen: ChosenConfig;
  config: Config;
  options: Arguments['options'];
  terminal: Terminal;
}

interface OpenRing {
  domain: Domain;
  records: RingRecords;
  content: RingContent;
  /** The stored ring at the present time. */
  snapshot: RingSnapshot;
}

/** Opens the ring for one task. @throws MasterKeyError, StoreUnavailable, or Error if there is no ring yet */
export function withRing<T>(context: KeysContext, work: (ring: OpenRing) => Promise<T>): Promise<T> {
  return withMasterKey(context, async (domain, masterKey) => {
    const records = ringRecords(domain.records, masterKey);
    const { content } = await storedRing(records);
    return work({ domain, records, content, snapshot: snapshotNow(domain, content) });
  });
}

/**
 * Opens the HSM. If it is unreachable, returns a stand-in that still allows removal of a leaked key and throws on any
 * other use.
 */
async function openHsmOrStandIn(config: Config): Promise<External | undefined> {
  try {
    return await openExternal(config);
  } catch (error) {
    if (!(error instanceof SignerUnavailable)) throw error;
    return { signer: absentSigner(error), makesNewKeys: config.keys.signer === 'pkcs11' };
  }
}

/** Changes the ring as a node with this configuration would, with its HSM if it has one. @throws SignerUnavailable */
export async function change(
  { terminal }: KeysContext,
  { domain: { config, clock, random }, records }: Pick<OpenRing, 'domain' | 'records'>,
  decide: (content: RingContent, options: TransitionOptions) => Promise<RingContent>,
): Promise<RingContent> {
  const external = await openHsmOrStandIn(config);
  const options: TransitionOptions = {
    clock,
    random,
    algorithms: config.keys.algorithms,
    timetable: timetableOf(config),
    external,
    reportFailure: (error) => terminal.warn(`latchkey: ${error instanceof Error ? error.message : String(error)}`),
  };
  try {
    return await changeRing(records, options, (content) => decide(content, options));
  } finally {
    await external?.signer.close();
  }
}

/** Opens the domain and the master key of its ring. @throws MasterKeyError, StoreUnavailable */
export function withMasterKey<T>(
  context: KeysContext,
  work: (domain: Domain, masterKey: MasterKey) => Promise<T>,
): Promise<T> {
  return withDomain(context, async (domain) => {
    const { config, random } = domain;
    return work(domain, await openMasterKey(config.keys_dir, { create: false, random }));
  });
}

export function snapshotNow({ config, clock }: Domain, content: RingContent): RingSnapshot {
  return snapshotOf(content, clock.now(), config.keys.algorithms);
}

/** Formats a time: `2026-01-31T12:00:00Z`. */
export function timeText(milliseconds: number): string {
  return new Date(milliseconds).toISOString().replace(/\.\d+Z$/, 'Z');
}

export function printJson(terminal: Terminal, value: unknown): void {
  terminal.print(JSON.stringify(value, undefined, 2));
}
