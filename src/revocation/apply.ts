import { everyAccount } from '../accounts/every-account.ts';
import type { Revoked, RevocationTarget } from '../events/events.ts';
import { writeNotBefore } from '../sessions/not-before.ts';
import { sessionKey } from '../sessions/session-records.ts';
import { forEachAtOnce } from '../storage/every-member.ts';
import {
  endAccessOf,
  endGrants,
  endGrantsOf,
  endSession,
  endSessionsOf,
  forgetApp,
  keepSession,
} from './end-sessions.ts';
import { TOLD_AT_ONCE, type Told, type RevocationDependencies } from './dependencies.ts';

type Applier<T extends RevocationTarget> = (parts: RevocationDependencies, target: T, at: number) => Promise<Told>;
type Appliers = { [What in RevocationTarget['what']]: Applier<Extract<RevocationTarget, { what: What }>> };

const appliers: Appliers = {
  async token({ tokens }, { token }) {
    await tokens.end(token);
    return [];
  },
  async grant(parts, { grant }) {
    await endGrants(parts, [grant]);
    return [];
  },
  session: (parts, { session }) => endSession(parts, sessionKey(session), { keepsOffline: true }),
  async account(parts, { account, exceptSession, before }, at) {
    const until = before ?? at;
    const invalidate = async (): Promise<void> => {
      if (exceptSession !== undefined) await keepSession(parts, exceptSession, until);
      await writeNotBefore(parts.grants, { account }, until, parts.notBeforeLife);
    };
    const [, told] = await Promise.all([
      invalidate(),
      endAccount(parts, account, { before: until, except: exceptSession }),
    ]);
    return told;
  },
  async access(parts, { account }, at) {
    await Promise.all([endAccessOf(parts, account, at), parts.tokens.endOfAccount(account, at)]);
    return [];
  },
  async consent(parts, { account, client }, at) {
    const [told] = await Promise.all([
      forgetApp(parts, { account, client, before: at }),
      endGrantsOf(parts, account, { client, before: at }),
    ]);
    return told;
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
  async everything(parts, { before }, at) {
    const until = before ?? at;
    await writeNotBefore(parts.grants, 'everybody', until, parts.notBeforeLife);
    await parts.tokens.endOfEveryClient(until);
    return endEveryAccount(parts, until);
  },
};

/** Ends everything that a revocation targets. It is idempotent, and safe to interrupt and to run concurrently. */
export function applyRevocation({ target, at }: Revoked, parts: RevocationDependencies): Promise<Told> {
  return applyBy(target.what, target, at, parts);
}

function applyBy<What extends RevocationTarget['what']>(
  what: What,
  target: Extract<RevocationTarget, { what: What }>,
  at: number,
  parts: RevocationDependencies,
): Promise<Told> {
  return appliers[what](parts, target, at);
}

/** Ends everything of an account that began before an instant. */
async function endAccount(
  parts: RevocationDependencies,
  account: string,
  { before, except }: { before: number; except?: string | undefined },
): Promise<Told> {
  const [{ told, ofApps }, ended] = await Promise.all([
    endSessionsOf(parts, account, { before, except }),
    endGrantsOf(parts, account, { before }),
    parts.tokens.endOfAccount(account, before),
  ]);
  await endGrants(
    parts,
    ofApps.filter((grant) => !ended.has(grant)),
  );
  return told;
}

async function endEveryAccount(parts: RevocationDependencies, before: number): Promise<Told> {
  const told: Told = [];
  for await (const accounts of everyAccount(parts.accounts))
    await forEachAtOnce(accounts, async ({ id }) => {
      const more = await endAccount(parts, id, { before });
      // There may be millions of logout tokens. All are stored for delivery, but only about the first hundred are
      // returned.
      if (told.length < TOLD_AT_ONCE) told.push(...more);
    });
  return told;
}
