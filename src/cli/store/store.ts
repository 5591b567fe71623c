import { findAction, type Actions } from '../actions.ts';
import { configOption, type Command } from '../command.ts';
import { storeContext, type StoreContext } from '../store-context.ts';
import { backup } from './backup.ts';
import { check } from './check.ts';
import { copy } from './copy.ts';
import { restore } from './restore.ts';
import { upgrade } from './upgrade.ts';

const ACTIONS: Actions<StoreContext> = {
  backup: { words: ['FILE'], options: ['key-file'], run: backup },
  restore: { words: ['FILE'], options: ['key-file', 'yes'], run: restore },
  copy: { options: ['from', 'from-file', 'to', 'to-file', 'only'], run: copy },
  check: { options: ['json', 'repair'], run: check },
  upgrade: { options: ['yes'], run: (context) => upgrade(context) },
};

export const store: Command = {
  name: 'store',
  summary: 'back the store up while it serves, restore it, move, check or upgrade it',
  details: `store backup FILE     writes everything of both stores into a new file, compressed and encrypted, while servers run
store restore FILE    fills the empty stores of the configuration from a backup, whatever backend it came from
store copy --from URL --to URL
                      copies one store into an empty one of any backend, and compares them; no server may run
store check           counts the records of each kind, compares with the last check, and lists what cannot be right
store check --repair  removes dangling index entries and sets missing expiries, while servers run; deletes no record
store upgrade         brings the store to the newest format while servers serve, once no older version serves

A URL with a password does not stand on the command line, where others could read it. Give it by --from-file and --to-file, or by
LATCHKEY_COPY_FROM and LATCHKEY_COPY_TO.

The key file holds a passphrase of 20 characters or more, which is not the master key. One command makes one:
  (umask 077; openssl rand -base64 32 > backup.key)

After a restore everybody must sign in again, and apps need new tokens: docs/backup.md says what returns and what does not.`,
  options: {
    ...configOption,
    'key-file': {
      value: 'FILE',
      summary: 'the file with the passphrase of the backup; - reads it from standard input',
    },
    from: { value: 'URL', summary: 'for copy: the store that stays as it is (a URL without a password)' },
    'from-file': { value: 'FILE', summary: 'for copy: the file with that URL; - reads it from standard input' },
    to: { value: 'URL', summary: 'for copy: the empty store (a URL without a password)' },
    'to-file': { value: 'FILE', summary: 'for copy: the file with that URL; - reads it from standard input' },
    only: { value: 'ROLE', summary: 'for copy: only what belongs to "records" or to "grants"' },
    json: { summary: 'for check: print JSON' },
    repair: { summary: 'for check: repair what can be repaired safely' },
    yes: { summary: 'do not ask before restore or upgrade' },
  },
  words: ['ACTION', '[FILE]'],
  async run(given, terminal) {
    const { action, words } = findAction(store, ACTIONS, given);
    return action.run(storeContext(given, terminal), ...words);
  },
};
