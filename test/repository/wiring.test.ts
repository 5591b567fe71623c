import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';

/** Where the records and rules are opened, once for the server, every command and the tests. */
const DOMAIN = 'src/domain/domain.ts';
/** Looks whose store it is before anything is opened on it, and closes what it used. */
const ORIGIN = 'src/credentials/store-origin.ts';

const OPENED_IN: Record<string, readonly string[]> = {
  'openAccounts(': [DOMAIN, ORIGIN],
  'passwordsFor(': [DOMAIN, ORIGIN],
  'openConsents(': [DOMAIN],
  'openClients(': [DOMAIN],
  'openClientSecrets(': [DOMAIN],
  'openInvitations(': [DOMAIN],
  'openIssuers(': [DOMAIN],
  'openSignals(': [DOMAIN],
  'openOperations(': [DOMAIN],
  'new Revocations(': [DOMAIN],
  'openExistingStores(': ['src/cli/store-context.ts'],
};

const sources = globSync('src/**/*.ts').map((file) => ({ file, text: readFileSync(file, 'utf8') }));

describe('The wiring of the server', () => {
  for (const [call, files] of Object.entries(OPENED_IN))
    it(`Only ${files.join(' and ')} may call ${call})`, () => {
      const calls = sources.filter(({ text }) => text.replaceAll(`function ${call}`, '').includes(call));
      assert.deepEqual(calls.map(({ file }) => file).toSorted(), files.toSorted());
    });

  it('No file spreads a bundle of dependencies into a call', () => {
    const spread = sources.flatMap(({ file, text }) =>
      [...text.matchAll(/\.\.\.(?:base|dependencies|domain|parts|shared)\b.*/g)].map(([found]) => `${file}: ${found}`),
    );
    assert.deepEqual(spread, []);
  });
});
