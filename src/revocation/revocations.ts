import type { Announce, Revoke, Revoked, RevocationTarget } from '../events/events.ts';
import { newId } from '../lib/ids.ts';
import type { Random } from '../lib/random.ts';
import type { BackChannelLogout } from '../oidc/logout/back-channel-logout.ts';
import type { Lease } from '../storage/lease.ts';
import { QueueWorker } from '../storage/queue-worker.ts';
import { grantKey } from '../sessions/grant-records.ts';
import { sessionKey } from '../sessions/session-records.ts';
import type { Store } from '../storage/store.ts';
import { MAX_DELIVERED_AT_ONCE, type RevocationDependencies } from './dependencies.ts';
import { RevocationJournal, type Revocation } from './journal.ts';
import { applyRevocation } from './apply.ts';

/** Listener for revocations. If it rejects, it is called again with the same id. */
export type RevocationListener = (revoked: Revoked) => Promise<void>;

export interface RevocationsOptions extends RevocationDependencies {
  random: Random;
  /**
   * Services of a running server. A command has none: it revokes all the same, and a server notifies the apps later.
   */
  server?:
    | {
        announce: Announce;
        logouts: Pick<BackChannelLogout, 'deliver'>;
        /** Reports a failed step, which is retried. */
        reportFailure: (error: unknown) => void;
      }
    | undefined;
}

const POLL_INTERVAL = 500;
/** Maximum number of revocations that a node continues at the same time. */
const AT_ONCE = 20;

/** The only way to revoke anything. A revocation is stored before it is applied, so that no crash loses it. */
export class Revocations {
  readonly #dependencies: RevocationsOptions;
  readonly #journal: RevocationJournal;
  readonly #worker: QueueWorker<Revocation>;
  readonly #listeners: RevocationListener[] = [];

  constructor(dependencies: RevocationsOptions) {
    this.#dependencies = dependencies;
    this.#journal = new RevocationJournal(dependencies.grants, dependencies.clock, {
      life: dependencies.notBeforeLife,
      canNotify: dependencies.server !== undefined,
    });
    this.#worker = new QueueWorker(this.#journal.queue, {
      work: (lease) => this.#resume(lease),
      reportFailure: (error) => dependencies.server?.reportFailure(error),
      ...{ pollInterval: POLL_INTERVAL, atOnce: AT_ONCE },
    });
  }

  readonly revoke: Revoke = async (target, cause, change) => {
    const { grants, clock, random, server } = this.#dependencies;
    const [id, at] = [newId('rev', clock, random), clock.now()];
    const whose = await ownerOfTarget(grants, target);
    const lease = await this.#journal.begin({ id, target, cause, at, ...whose }, change !== undefined);
    const goesOn = await lease.during(() => this.#end(lease, change));
    // Everything has ended, so the caller need not wait for the notifications.
    if (goesOn && server !== undefined) void this.#worker.resume(lease);
  };

  onRevoked(listener: RevocationListener): void {
    this.#listeners.push(listener);
  }

  /** Takes the due steps of unfinished revocations, including other nodes' revocations, until `close` is called. */
  watch(): void {
    this.#worker.start();
  }

  close(): Promise<void> {
    return this.#worker.close();
  }

  /** Takes the due steps of one revocation. Without a server, it stops before a step that notifies apps. */
  async #resume(lease: Lease<Revocation>): Promise<void> {
    let goesOn = true;
    while (goesOn) {
      const step = this.#journal.nextStep(lease.value);
      if (step === undefined || (step.does === 'notify' && this.#dependencies.server === undefined)) return;
      goesOn = step.does === 'apply' ? await this.#end(lease) : await this.#tell(lease);
    }
  }

  /**
   * Applies a revocation, which is one step.
   * @param change runs first; a node that continues another node's revocation does not have it
   * @returns whether to go on with the next step
   */
  async #end(lease: Lease<Revocation>, change?: () => Promise<unknown>): Promise<boolean> {
    await change?.();
    const settled = this.#settled(lease.value, change !== undefined);
    const queued = await applyRevocation(settled, this.#dependencies);
    const goesOn = await this.#journal.pass(lease, settled);
    await this.#dependencies.server?.logouts.deliver(queued.slice(0, MAX_DELIVERED_AT_ONCE));
    return goesOn;
  }

  /**
   * Moves the instant of a pending revocation to now, so that a sign-in with the old password during the change ends
   * too.
   */
  #settled({ isPending, ...revocation }: Revocation, isOurs: boolean): Revocation {
    if (isPending === undefined) return revocation;
    return { ...revocation, at: this.#dependencies.clock.now(), ...(!isOurs && { isBrokenOff: true }) };
  }

  /** Calls the listeners. After a failure they are called again in the last step, so that other steps are not delayed. */
  async #tell(lease: Lease<Revocation>): Promise<boolean> {
    const revocation = lease.value;
    const { id, target, cause, at: _time, done: _done, dueAt: _due, isTold = false, ...whose } = revocation;
    if (isTold) return this.#journal.pass(lease, revocation);
    try {
      for (const listener of this.#listeners) await listener(revocation);
    } catch (error) {
      if (this.#journal.isLast(revocation)) throw error;
      this.#dependencies.server?.reportFailure(error);
      return this.#journal.pass(lease, revocation);
    }
    this.#dependencies.server?.announce({ type: 'revoked', revocation: id, cause, ...target, ...whose });
    return this.#journal.pass(lease, { ...revocation, isTold: true });
  }
}

/** Reads the owners of a session or grant from its record, while the record exists. */
async function ownerOfTarget(grants: Store, target: RevocationTarget): Promise<Pick<Revoked, 'account' | 'client'>> {
  if (target.what === 'session') {
    const { accountId } = (await grants.get(sessionKey(target.session)))?.value ?? {};
    return accountId === undefined ? {} : { account: accountId };
  }
  if (target.what !== 'grant') return {};
  const { accountId, clientId } = (await grants.get(grantKey(target.grant)))?.value ?? {};
  return {
    ...(accountId !== undefined && { account: accountId }),
    ...(clientId !== undefined && { client: clientId }),
  };
}
