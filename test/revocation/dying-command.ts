/** A command that revokes all of an account, and is killed once it has ended the first grant. */
import { openAccounts } from '../../src/accounts/accounts.ts';
import { systemClock as clock } from '../../src/lib/clock.ts';
import { systemRandom as random } from '../../src/lib/random.ts';
import { Revocations } from '../../src/revocation/revocations.ts';
import { openTokens } from '../../src/revocation/tokens.ts';
import { openStores } from '../../src/storage/open-stores.ts';

interface Work {
  issuer: string;
  grants: string;
  account: string;
}

const { issuer, grants: url, account } = JSON.parse(process.argv[2] ?? '{}') as Work;
const { grants, records } = await openStores({ grants: url }, clock);
const tokens = openTokens({ grants, clock, issuer });
const { revoke } = new Revocations({
  ...{ grants, clock, random, notBeforeLife: 3600 },
  accounts: openAccounts({ records, clock, random }),
  clients: { find: () => Promise.resolve(undefined) },
  tokens: {
    ...tokens,
    async endOfGrants(ids) {
      await tokens.endOfGrants(ids.slice(0, 1));
      process.kill(process.pid, 'SIGKILL');
    },
  },
});
await revoke({ what: 'account', account }, 'password-changed');
