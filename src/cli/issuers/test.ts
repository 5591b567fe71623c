import { authMethodOf } from '../../config/sections/client-auth-checks.ts';
import type { Domain } from '../../domain/domain.ts';
import type { Check, Examination } from '../../grants/jwt-bearer/examination.ts';
import { CHECKS, firstFailure } from '../../grants/jwt-bearer/checks.ts';
import { readAssertion } from '../../grants/jwt-bearer/assertion.ts';
import { jwtBearer } from '../../grants/jwt-bearer/jwt-bearer.ts';
import type { Subject } from '../../grants/jwt-bearer/subject.ts';
import { openOutgoing } from '../../outgoing/outgoing.ts';
import { textOf } from '../command.ts';
import { table } from '../help-text.ts';
import { readText } from '../text-files.ts';
import { withDomain, type StoreContext } from '../store-context.ts';

/** Checks a token as the token endpoint would, but consumes nothing and makes no account. */
export async function test(context: StoreContext, word: string): Promise<number> {
  const { terminal } = context;
  const token = word === '-' ? await readText(word, terminal) : word;
  return withDomain(context, async (domain) => {
    const examination = await examine(context, domain, token);
    const failed = await firstFailure(examination);
    terminal.print(`${table([...facts(examination)], '')}\n`);
    if (failed === undefined) {
      const { client } = examination.request;
      terminal.print(
        `The token is accepted: client "${client.id}" gets a token for ${whom(await examination.subject())}.`,
      );
      return 0;
    }
    terminal.print(refusalText(failed));
    return 1;
  });
}

function refusalText({ reason, says }: Check): string {
  const place = CHECKS.findIndex((check) => check.reason === reason);
  return `The token is refused, because this does not hold: ${says}.
That is check ${place + 1} of ${CHECKS.length}, ${reason}; docs/trusted-issuers.md lists them in their order.`;
}

async function examine(context: StoreContext, domain: Domain, token: string): Promise<Examination> {
  const { config, accounts, issuers, records, grants, clock } = domain;
  const { allow, ca } = config.outgoing;
  const { ofOperator } = openOutgoing({
    allow,
    ca,
    clock,
    reportFailure: ({ address, err }) => {
      context.terminal.warn(`latchkey: ${address}: ${err instanceof Error ? err.message : String(err)}`);
    },
  });
  const { rehearse } = jwtBearer({
    issuer: config.issuer,
    issuers,
    accounts,
    records,
    grants,
    announce: () => undefined,
    clock,
    keySets: ofOperator.keySets,
  });
  const assertion = readAssertion(token.trim());
  const { iss } = assertion.claims.members;
  const issuer = typeof iss === 'string' ? await issuers.find(iss) : undefined;
  const named = textOf(context.given, 'client');
  const id = named ?? issuer?.clients[0] ?? '';
  const client = await domain.clients.find(id);
  if (client === undefined && named !== undefined)
    throw new Error(`there is no client ${JSON.stringify(id)}; "latchkey clients list" shows all`);
  const { resources = [], default_resource: defaultResource } = client ?? {};
  const isProved = client !== undefined && authMethodOf(client) !== 'none';
  return rehearse({ assertion, client: { id, isProved, resources, defaultResource }, scopes: [], resources: [] });
}

/** Lists the token's claims, the expected audience and the client that would present it. */
function* facts({ header, claims, request, resource, here }: Examination): Generator<string[]> {
  yield ['server', here];
  yield ['client', request.client.id || 'none: --client names one'];
  yield ['resource', resource ?? 'none'];
  const told = { ...pick(header, ['typ', 'alg', 'kid']), ...pick(claims, ['iss', 'sub', 'aud', 'iat', 'exp', 'jti']) };
  for (const [name, value] of Object.entries(told)) yield [name, printable(value)];
}

function pick(members: Readonly<Record<string, unknown>>, names: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(names.filter((name) => members[name] !== undefined).map((name) => [name, members[name]]));
}

/**
 * Escapes text from outside, so that it cannot move the cursor: JSON escapes most control characters, and the rest is
 * removed.
 */
function printable(value: unknown): string {
  return JSON.stringify(value)
    .replace(/[^\x20-\x7E]/g, '\u{FFFD}')
    .slice(0, 200);
}

function whom(subject: Subject): string {
  switch (subject.is) {
    case 'service':
      return 'the client itself';
    case 'account':
      return `the account ${subject.account.email}`;
    case 'linkable':
      return `the account ${subject.account.email}, which it would be linked to`;
    case 'new':
      return `a new account ${subject.email}`;
    case 'nobody':
      return 'nobody';
  }
}
