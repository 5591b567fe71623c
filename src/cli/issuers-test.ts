import { openAccounts } from '../accounts/accounts.ts';
import { openClients, type Client } from '../clients/clients.ts';
import { authMethodOf } from '../config/client-auth-checks.ts';
import type { Check } from '../grants/jwt-bearer/check.ts';
import { CHECKS, firstFailure } from '../grants/jwt-bearer/checks.ts';
import { readAssertion } from '../grants/jwt-bearer/assertion.ts';
import type { Examination } from '../grants/jwt-bearer/examination.ts';
import { jwtBearer } from '../grants/jwt-bearer/jwt-bearer.ts';
import type { Subject } from '../grants/jwt-bearer/subject.ts';
import { systemRandom } from '../lib/random.ts';
import { openOutgoing } from '../outgoing/outgoing.ts';
import type { Stores } from '../storage/open-stores.ts';
import { textOf } from './command.ts';
import { table } from './help-text.ts';
import { readText } from './read-text.ts';
import { withStores, type StoreScene } from './store-scene.ts';

/** Tries a token as the token endpoint would, by the same checks, but uses nothing up and makes nothing. */
export async function test(scene: StoreScene, word: string): Promise<number> {
  const { terminal } = scene;
  const token = word === '-' ? await readText(word, terminal) : word;
  return withStores(scene, async (stores) => {
    const examination = await examine(scene, stores, token);
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

async function examine(scene: StoreScene, { records, grants, clock }: Stores, token: string): Promise<Examination> {
  const { config } = scene.chosen;
  const accounts = openAccounts({ records, clock, random: systemRandom });
  const { ofOperator } = openOutgoing({
    ...config.outgoing,
    clock,
    reportFailure: ({ address, err }) => {
      scene.terminal.warn(`latchkey: ${address}: ${err instanceof Error ? err.message : String(err)}`);
    },
  });
  const { issuers, rehearse } = jwtBearer({
    config,
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
  const id = textOf(scene.given, 'client') ?? issuer?.clients[0] ?? '';
  const client = await findClient(scene, records, id);
  const { resources = [], default_resource: defaultResource } = client ?? {};
  const isProved = client !== undefined && authMethodOf(client) !== 'none';
  return rehearse({ assertion, client: { id, isProved, resources, defaultResource }, scopes: [], resources: [] });
}

async function findClient({ chosen, given }: StoreScene, records: Stores['records'], id: string) {
  const clients = openClients({
    records,
    configured: chosen.config.clients,
    random: systemRandom,
    // Nothing is signed here.
    sealingKey: () => Promise.reject(new Error('a test needs no secret')),
  });
  const client: Client | undefined = await clients.find(id);
  if (client === undefined && textOf(given, 'client') !== undefined) {
    throw new Error(`there is no client ${JSON.stringify(id)}; "latchkey clients list" shows all`);
  }
  return client;
}

/** The claims of the token, the server that it should be for, and the client that would bring it. */
function* facts({ header, claims, request, resource, here }: Examination): Generator<string[]> {
  yield ['server', here];
  yield ['client', request.client.id || 'none: --client names one'];
  yield ['resource', resource ?? 'none'];
  for (const name of ['typ', 'alg', 'kid']) yield [name, printable(header[name])];
  for (const name of ['iss', 'sub', 'aud', 'iat', 'exp', 'jti']) yield [name, printable(claims[name])];
}

/** A stranger's text cannot move the cursor: JSON has escapes for most of it, and the rest is left out. */
function printable(value: unknown): string {
  return (value === undefined ? '(none)' : JSON.stringify(value)).replace(/[^\x20-\x7E]/g, '\u{FFFD}').slice(0, 200);
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
