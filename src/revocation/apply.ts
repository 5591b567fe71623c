import { everyAccountId } from '../accounts/every-account.ts';
import type { Revoked, RevocationTarget } from '../events/events.ts';
import { writeNotBefore } from '../sessions/not-before.ts';
import { sessionKey } from '../sessions/session-records.ts';
import { forEachConcurrently } from '../storage/every-member.ts';
import {
  endAccessOf,
  endGrants,
  endGrantsOf,
  endSession,
  endSessionsOf,
  forgetApp,
  keepSession,
} from './end-sessions.ts';
import { MAX_DELIVERED_AT_ONCE, type QueuedLogouts, type RevocationDependencies } from './dependencies.ts';

type Applier<T extends RevocationTarget> = (
  dependencies: RevocationDependencies,
  target: T,
  at: number,
) => Promise<QueuedLogouts>;
type Appliers = { [What in RevocationTarget['what']]: Applier<Extract<RevocationTarget, { what: What }>> };

const appliers: Appliers = {
  async token({ tokens }, { token }) {
    await tokens.end(token);
    return [];
  },
  async grant(dependencies, { grant }) {
    await endGrants(dependencies, [grant]);
    return [];
  },
  session: (dependencies, { session }) => endSession(dependencies, sessionKey(session), { keepsOffline: true }),
  async account(dependencies, { account, exceptSession, before }, at) {
    const until = before ?? at;
    const invalidate = async (): Promise<void> => {
      if (exceptSession !== undefined) await keepSession(dependencies, exceptSession, until);
      await writeNotBefore(dependencies.grants, { account }, until, dependencies.notBeforeLife);
    };
    const [, queued] = await Promise.all([
      invalidate(),
      endAccount(dependencies, account, { before: until, except: exceptSession }),
    ]);
    return queued;
  },
  async access(dependencies, { account }, at) {
    await Promise.all([endAccessOf(dependencies, account, at), dependencies.tokens.endOfAccount(account, at)]);
    return [];
  },
  async consent(dependencies, { account, client }, at) {
    const [queued] = await Promise.all([
      forgetApp(dependencies, { account, client, before: at }),
      endGrantsOf(dependencies, account, { client, before: at }),
    ]);
    return queued;
  },
  async client({ grants, tokens, notBeforeLife }, { client, before }, at) {
    const until = before ?? at;
    await Promise.all([writeNotBefore(grants, { client }, until, notBeforeLife), tokens.endOfClient(client, until)]);
    return [];
  },
  async 'trusted-issuer'({ tokens }, { issuer }, at) {
    await tokens.endOfTrustedIssuer(issuer, at);
    return [];
  },
  // The ring no longer has the key, so nothing that the key signed verifies any more.
  key: () => Promise.resolve([]),
  /** Writes the not-before instant first: it invalidates everything at once, while the rest may take long. */
  async everything(dependencies, { before }, at) {
    const until = before ?? at;
    await writeNotBefore(dependencies.grants, 'everybody', until, dependencies.notBeforeLife);
    await dependencies.tokens.endOfEveryClient(until);
    return endEveryAccount(dependencies, until);
  },
};

/** Ends everything that a revocation targets. It is idempotent, and safe to interrupt and to run concurrently. */
export function applyRevocation({ target, at }: Revoked, dependencies: RevocationDependencies): Promise<QueuedLogouts> {
  return applyBy(target.what, target, at, dependencies);
}

function applyBy<What extends RevocationTarget['what']>(
  what: What,
  target: Extract<RevocationTarget, { what: What }>,
  at: number,
  dependencies: RevocationDependencies,
): Promise<QueuedLogouts> {
  return appliers[what](dependencies, target, at);
}

/** Ends everything of an account that began before an instant. */
async function endAccount(
  dependencies: RevocationDependencies,
  account: string,
  { before, except }: { before: number; except?: string | undefined },
): Promise<QueuedLogouts> {
  const [{ queued, appGrants }, ended] = await Promise.all([
    endSessionsOf(dependencies, account, { before, except }),
    endGrantsOf(dependencies, account, { before }),
    dependencies.tokens.endOfAccount(account, before),
  ]);
  await endGrants(
    dependencies,
    appGrants.filter((grant) => !ended.has(grant)),
  );
  return queued;
}

async function endEveryAccount(dependencies: RevocationDependencies, before: number): Promise<QueuedLogouts> {
  const queued: QueuedLogouts = [];
  for await (const ids of everyAccountId(dependencies.accounts))
    await forEachConcurrently(ids, async (id) => {
      const more = await endAccount(dependencies, id, { before });
      // There may be millions of logout tokens. All are stored for delivery, but only about the first hundred are
      // returned.
      if (queued.length < MAX_DELIVERED_AT_ONCE) queued.push(...more);
    });
  return queued;
}
