import assert from 'node:assert/strict';
import { isDeepStrictEqual } from 'node:util';
import { OPERATOR } from '../../src/limits/lane.ts';
import { Secret } from '../../src/config/secret.ts';
import type { Domain } from '../../src/domain/domain.ts';
import { twoServerStores } from '../oidc/server-stores.ts';
import { domainOn } from '../support/domain.ts';
import { DyingNode } from '../support/dying-node.ts';
import type { Person } from '../support/flows.ts';
import { until } from '../support/until.ts';
import { ALL, NOTHING, NodePair, type Holding, type Left } from './node-pair.ts';

/** An operation that ends things, and somebody to whom it is done. */
interface Case {
  /** Does it, at the node that dies. */
  act: () => Promise<unknown>;
  /** What is to be over whenever it was broken off, as long as anything of it was done. */
  isOver: () => Promise<boolean>;
}

/** More than any operation writes. */
const MOST = 60;
const NEXT = 'quite another phrase of somebody';
for (const backend of twoServerStores) {
  describe(`A revocation on ${backend.name} whose node dies between any two writes`, function () {
    this.timeout(300_000);
    const dying = new DyingNode();
    let setup: NodePair;
    /** As a command has it that dies. */
    let mortal: Domain;
    let operations: Domain['operations'];
    let people = 0;

    before(async () => {
      setup = await NodePair.start(backend, undefined, dying.openStores);
      mortal = domainOn(dying.around(setup.stores), setup.node.config);
      ({ operations } = mortal);
    });
    after(() => setup.stop());

    function newPerson(): Promise<Person> {
      people += 1;
      return setup.newPerson(`person-${people}`);
    }

    const overFor = (holdings: readonly Holding[], expected: Left) => async (): Promise<boolean> => {
      const each = await Promise.all(holdings.map((holding) => setup.left(holding)));
      const isOver = (left: Left): boolean =>
        Object.entries(left).every(([what, is]) => !is || expected[what as keyof Left]);
      return each.every(isOver);
    };

    /** Two browsers of one person. */
    async function twoHoldings(): Promise<[Holding, Holding, Person]> {
      const person = await newPerson();
      return [await setup.holding({ person }), await setup.holding({ person }), person];
    }

    const form = async ({ browser }: Holding, path: string, fields: Record<string, string>): Promise<void> => {
      const page = await browser.visit(setup.node.issuer + path);
      await browser.submit(page, fields);
    };

    const cases: Record<string, () => Promise<Case>> = {
      'A password change by the owner ends the other sessions and all tokens': async () => {
        const [here, elsewhere, { password }] = await twoHoldings();
        const page = await here.browser.visit(`${setup.node.issuer}/password`);
        return {
          act: () => here.browser.submit(page, { current: password, next: NEXT, again: NEXT }),
          isOver: async () => {
            // What failed before the change was begun has changed nothing.
            if ((await setup.left(elsewhere)).session && (await isStill({ ...here, password }))) return true;
            return (await overFor([elsewhere], NOTHING)()) && (await overFor([here], { ...NOTHING, session: true })());
          },
        };
      },
      'A password change by the operator ends all sessions and tokens of the account': async () => {
        const [here, elsewhere] = await twoHoldings();
        const { store } = await mortal.passwords.prepare(here.account, NEXT, OPERATOR);
        return {
          act: () => operations.changeCredentials(here.account, 'password-changed', { store }),
          isOver: overFor([here, elsewhere], NOTHING),
        };
      },
      'The disabling of an account ends its sessions and tokens': async () => {
        const [here, elsewhere] = await twoHoldings();
        return { act: () => operations.disableAccount(here.account), isOver: overFor([here, elsewhere], NOTHING) };
      },
      'The removal of an account ends its sessions and tokens': async () => {
        const [here, elsewhere] = await twoHoldings();
        return { act: () => operations.removeAccount(here.account), isOver: overFor([here, elsewhere], NOTHING) };
      },
      'The removal of a role revokes the access tokens that name it': async () => {
        const [here, elsewhere] = await twoHoldings();
        const remove = () => setup.accounts.setRoles(here.account, []);
        return {
          act: () => operations.removeRole(here.account, remove),
          isOver: overFor([here, elsewhere], { ...ALL, jwt: false, opaque: false }),
        };
      },
      'The withdrawal of consent ends the app’s access': async () => {
        const person = await newPerson();
        const photos = await setup.holding({ person, client: 'demo-photos' });
        return {
          act: () => operations.withdrawConsent(photos.account, 'demo-photos'),
          isOver: overFor([photos], { ...NOTHING, session: true }),
        };
      },
      'The end of a session ends the access of its apps': async () => {
        const [here, lost] = await twoHoldings();
        const session = await setup.sessionOf(lost);
        const isUntouched = async () => isDeepStrictEqual(await setup.left(lost), ALL);
        return {
          act: () => form(here, '/sessions', { session, confirm: 'yes' }),
          // What failed while the form was taken has ended nothing, and the person has no answer that says so.
          isOver: async () => (await isUntouched()) || overFor([lost], NOTHING)(),
        };
      },
      'The disabling of a client revokes its tokens': async () => {
        const { client, tokens } = await newMachine();
        return { act: () => operations.disableClient(client), isOver: noneActive(tokens) };
      },
      'The removal of a client revokes its tokens': async () => {
        const { client, tokens } = await newMachine();
        return { act: () => operations.removeClient(client), isOver: noneActive(tokens) };
      },
      'A new client secret revokes the tokens that were issued before': async () => {
        const { client, tokens } = await newMachine();
        const roll = () => mortal.clientSecrets.roll(client, { hasLeaked: true });
        return { act: () => operations.rollClientSecret(client, roll), isOver: noneActive(tokens) };
      },
    };

    async function newMachine(): Promise<{ client: string; tokens: string[] }> {
      people += 1;
      const client = `machine-${people}`;
      const machine = setup.node.config.clients.find(({ client_id: id }) => id === 'demo-service');
      assert.ok(machine);
      const secret = 'a-secret-of-a-machine-of-the-store';
      await setup.domain.clients.save({ ...machine, client_id: client, secret: new Secret(secret) });
      const basic = `${client}:${secret}`;
      return { client, tokens: [await setup.machineToken(basic), await setup.machineToken(basic)] };
    }

    const noneActive = (tokens: readonly string[]) => async (): Promise<boolean> =>
      (await Promise.all(tokens.map((token) => setup.isActive(token)))).every((active) => !active);

    async function isStill({ account, password }: Holding & { password: string }): Promise<boolean> {
      return (await setup.domain.passwords.verify(account, password, OPERATOR)) === 'right';
    }

    for (const [what, begin] of Object.entries(cases))
      it(`${what}, even if the node dies between two writes`, async () => {
        const begun: { writes: number; isOver: Case['isOver'] }[] = [];
        let hasDied = true;
        for (let writes = 1; hasDied; writes += 1) {
          assert.ok(writes <= MOST, 'it never comes to its end');
          const { act, isOver } = await begin();
          dying.dieAfter(writes);
          await act().catch(() => undefined);
          hasDied = dying.revive();
          begun.push({ writes, isOver });
        }
        assert.ok(begun.length > 2, 'it wrote only once');
        const left = new Set(begun);
        const look = async (): Promise<boolean> => {
          for (const one of left) if (await one.isOver().catch(() => false)) left.delete(one);
          return left.size === 0;
        };
        await until(look, 60_000).catch((error: unknown) => {
          const where = [...left].map(({ writes }) => writes).join(', ');
          throw new Error(`not where it died after write ${where} of ${begun.length - 1}`, { cause: error });
        });
      });
  });
}
