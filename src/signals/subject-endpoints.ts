import type { Context } from 'koa';
import { z } from 'zod';
import type { Accounts } from '../accounts/accounts.ts';
import type { SubjectNames } from '../accounts/pairwise.ts';
import type { Clients } from '../clients/clients.ts';
import { sectorOf } from '../config/sections/sector.ts';
import { Refusal } from '../http/refusal.ts';
import { route, type Route } from '../http/route.ts';
import { ownStream, readBody, type Receiver } from './receiver.ts';
import type { ManagementDependencies } from './management.ts';

type Dependencies = Pick<ManagementDependencies, 'issuer' | 'streams' | 'subjects' | 'guard'> & {
  accounts: Accounts;
  clients: Pick<Clients, 'find'>;
  subjectNames: SubjectNames;
};

/**
 * A subject: an account, named by the `sub` of its ID tokens, or a complex subject with such a user. An email address
 * is refused, because the events would tell the receiver whose address it is.
 */
const person = z.object({ format: z.literal('iss_sub'), iss: z.string(), sub: z.string().max(255) });
const subject = z.union([person, z.object({ format: z.literal('complex'), user: person })], {
  error: 'must have the format iss_sub, or complex with such a user',
});
const choiceSchema = z.object({ stream_id: z.string(), subject });

/** Routes by which a receiver chooses accounts (Shared Signals Framework 1.0 §8.1.3). */
export function subjectRoutes(dependencies: Dependencies): Route[] {
  const manage = dependencies.guard('ssf.manage');
  return [
    route('POST', '/ssf/subjects/add', manage, (context, receiver) => choose(dependencies, context, receiver, true)),
    route('POST', '/ssf/subjects/remove', manage, (context, receiver) =>
      choose(dependencies, context, receiver, false),
    ),
  ];
}

/** Adds or removes an account. The answer is the same whether or not the account exists (§9.1). */
async function choose(
  dependencies: Dependencies,
  context: Context,
  receiver: Receiver,
  isWanted: boolean,
): Promise<void> {
  const { issuer, streams, subjects, accounts, subjectNames } = dependencies;
  const { stream_id: id, subject: given } = await readBody(context, choiceSchema);
  const stream = await ownStream(streams, receiver, id);
  const { iss, sub } = given.format === 'complex' ? given.user : given;
  if (iss !== issuer) throw new Refusal('invalid_request', `subject.iss must be ${issuer}`);
  const registered = await dependencies.clients.find(stream.client);
  const account = subjectNames.accountFor(sub, registered && sectorOf(registered));
  if (account !== undefined && (await accounts.find(account)) !== undefined)
    await subjects.choose(stream.id, account, isWanted);
  if (isWanted) context.status = 200;
  else context.status = 204;
  if (isWanted) context.body = '';
}
