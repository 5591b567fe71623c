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
  restore: { words: ['FILE'], options: ['key-file', 'account-keys', 'skip-unknown', 'yes'], run: restore },
  copy: { options: ['from', 'from-file', 'to', 'to-file', 'only', 'while-serving', 'accept-deletions'], run: copy },
  check: { options: ['json', 'repair'], run: check },
  upgrade: { options: ['yes'], run: (context) => upgrade(context) },
};

export const store: Command = {
  name: 'store',
  summary: 'back up, restore, copy, check or upgrade the store',
  details: `store backup FILE     writes both stores to a new file, compressed and encrypted; servers may keep running; the keys
                      of the accounts go to FILE.keys
store restore FILE    fills the configured stores, which must be empty, from a backup of any backend
store copy --from URL --to URL
                      copies one store into an empty one of any backend, and compares the two; all servers must be stopped
store check           counts the records of each kind, compares them with the last check, and lists invalid ones
store check --repair  removes dangling index entries and sets missing expiries, while servers run; deletes no record
store upgrade         brings the store to the newest format while servers run; no server of an older version may run

Other users can read a password on the command line, so give a URL that has one by --from-file and --to-file, or by
LATCHKEY_COPY_FROM and LATCHKEY_COPY_TO.

The key file holds a passphrase of at least 20 characters, which must not be the master key. This command creates one:
  (umask 077; openssl rand -base64 32 > backup.key)

After a restore, everybody must sign in again and apps need new tokens. docs/backup.md lists what is restored.`,
  options: {
    ...configOption,
    'key-file': {
      value: 'FILE',
      summary: 'the file with the passphrase of the backup, or - for standard input',
    },
    from: { value: 'URL', summary: 'for copy: the store to read, which stays unchanged (a URL without a password)' },
    'from-file': { value: 'FILE', summary: 'for copy: the file that holds this URL, or - for standard input' },
    to: { value: 'URL', summary: 'for copy: the empty store to fill (a URL without a password)' },
    'to-file': { value: 'FILE', summary: 'for copy: the file that holds this URL, or - for standard input' },
    'while-serving': {
      summary: 'for copy: copy ahead while servers run; a later copy without it has little left to do',
    },
    'accept-deletions': {
      summary: 'for copy: delete many records of an earlier copy that the source no longer has',
    },
    only: { value: 'ROLE', summary: 'for copy: copy only the "records" or only the "grants"' },
    'account-keys': { value: 'FILE', summary: 'for restore: the keys of the accounts, by default FILE.keys' },
    'skip-unknown': { summary: 'for restore: leave out records of kinds that this version does not know' },
    json: { summary: 'for check: print JSON' },
    repair: { summary: 'for check: repair what can be repaired safely' },
    yes: { summary: 'for restore and upgrade: do not ask for confirmation' },
  },
  words: ['ACTION', '[FILE]'],
  async run(given, terminal) {
    const { action, words } = findAction(store, ACTIONS, given);
    return action.run(storeContext(given, terminal), ...words);
  },
};
