import { everyAccount } from '../accounts/every-account.ts';
import type { Revoked, RevocationTarget } from '../events/revocations.ts';
import { writeCut } from '../oidc/storage/cuts.ts';
import { sessionKey } from '../oidc/storage/session-records.ts';
import { forEachAtOnce } from '../storage/at-once.ts';
import { endAccessOf, endGrants, endGrantsOf } from './end-grants.ts';
import { endSession, endSessionsOf, forgetApp, keepSession } from './end-sessions.ts';
import { TOLD_AT_ONCE, type Told, type WalkParts } from './parts.ts';

type Walk<T extends RevocationTarget> = (parts: WalkParts, target: T, at: number) => Promise<Told>;
type Walks = { [What in RevocationTarget['what']]: Walk<Extract<RevocationTarget, { what: What }>> };

const walks: Walks = {
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
    const cut = async (): Promise<void> => {
      if (exceptSession !== undefined) await keepSession(parts, exceptSession, until);
      await writeCut(parts.grants, { account }, until, parts.cutLife);
    };
    const [, told] = await Promise.all([cut(), endAccount(parts, account, { before: until, except: exceptSession })]);
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
  async client({ grants, tokens, cutLife }, { client, before }, at) {
    const until = before ?? at;
    await Promise.all([writeCut(grants, { client }, until, cutLife), tokens.endOfClient(client, until)]);
    return [];
  },
  async 'trusted-issuer'({ tokens }, { issuer }, at) {
    await tokens.endOfTrustedIssuer(issuer, at);
    return [];
  },
  // The ring has dropped it, and with it everything that it signed.
  key: () => Promise.resolve([]),
  /** The cut comes first: it counts for all of it at once, while the walk may take long. */
  async everything(parts, { before }, at) {
    const until = before ?? at;
    await writeCut(parts.grants, 'everybody', until, parts.cutLife);
    await parts.tokens.endOfEveryClient(until);
    return endEveryAccount(parts, until);
  },
};

/** Ends all that a revocation is about. It may be done any number of times, by several at once, and be broken off anywhere. */
export function walk({ target, at }: Revoked, parts: WalkParts): Promise<Told> {
  return walkBy(target.what, target, at, parts);
}

function walkBy<What extends RevocationTarget['what']>(
  what: What,
  target: Extract<RevocationTarget, { what: What }>,
  at: number,
  parts: WalkParts,
): Promise<Told> {
  return walks[what](parts, target, at);
}

/** Ends everything of an account that began before an instant. */
async function endAccount(
  parts: WalkParts,
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

async function endEveryAccount(parts: WalkParts, before: number): Promise<Told> {
  const told: Told = [];
  for await (const accounts of everyAccount(parts.accounts))
    await forEachAtOnce(accounts, async ({ id }) => {
      const more = await endAccount(parts, id, { before });
      // There may be millions, and each is kept for whoever tells it.
      if (told.length < TOLD_AT_ONCE) told.push(...more);
    });
  return told;
}
