import assert from 'node:assert/strict';
import { linkSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { secretToken, systemRandom } from '../../src/lib/random.ts';
import { command } from '../support/command.ts';
import { makeStore } from '../support/made-store.ts';

const FILE = `issuer: http://localhost:3000
stores: { grants: 'sqlite:store.db' }
clients:
  - { client_id: shop, client_name: Shop, type: spa, redirect_uris: ['https://shop.example.com/'] }
  - { client_id: job, client_name: Job, type: machine, secret: { file: job } }
`;
/** Configurations that only a start finds wrong, by the names of their files. */
const FAILING: Record<string, string> = {
  'host.yaml': `${FILE}listen: { host: no-such-host.invalid, port: 0 }\n`,
  'address.yaml': `${FILE}listen: { host: 192.0.2.1, port: 0 }\n`,
  'proc.yaml': "issuer: http://localhost:3000\nstores: { grants: 'sqlite:/proc/x/y.db' }\n",
  'folder.yaml': "issuer: http://localhost:3000\nstores: { grants: 'sqlite:/proc' }\n",
  'text.yaml': "issuer: http://localhost:3000\nstores: { grants: 'sqlite:host.yaml' }\n",
  'keys.yaml': "issuer: http://localhost:3000\nkeys_dir: /proc/x\nstores: { grants: 'sqlite:keys.db' }\n",
};
const HELP = (name: string) => `"latchkey help ${name}" shows its arguments`;
const OVERVIEW = '"latchkey help" lists all commands';

/** Command lines that are wrong, each with its code and every line that it must be answered with. DIR is the folder of the file. */
const WRONG: Record<string, [code: 1 | 2, ...lines: (string | RegExp)[]]> = {
  strat: [2, 'latchkey: there is no command "strat" (did you mean start?)', OVERVIEW],
  'help start now': [2, 'latchkey: help start does not take "now"', OVERVIEW],
  'help strat': [2, 'latchkey: there is no command "strat" (did you mean start?)', OVERVIEW],
  'start --confg x': [2, 'latchkey: start has no option --confg (did you mean --config?)', HELP('start')],
  '--verison': [2, 'latchkey: there is no option --verison (did you mean --version?)', OVERVIEW],
  'start -c x': [2, 'latchkey: start has no option -c', HELP('start')],
  serve: [2, 'latchkey: there is no command "serve" (did you mean start?)', OVERVIEW],
  'users list': [2, 'latchkey: there is no command "users" (did you mean accounts?)', OVERVIEW],
  'start --port 4000': [
    2,
    'latchkey: start has no option --port: set listen.port in the configuration, or LATCHKEY_PORT',
    HELP('start'),
  ],
  'accounts delete ann@example.com': [
    2,
    'latchkey: there is no command "accounts delete" (did you mean remove?)',
    HELP('accounts'),
  ],
  'accounts frobnicate': [
    2,
    'latchkey: there is no command "accounts frobnicate" (actions: list, show, add, verify, add-role, remove-role, password, sign-out, disable, enable, remove)',
    HELP('accounts'),
  ],
  'keys export': [2, 'latchkey: there is no command "keys export" (did you mean export-public?)', HELP('keys')],
  'revoke --all': [2, 'latchkey: revoke has no option --all (did you mean --everything?)', HELP('revoke')],
  'revoke --user ann@example.com': [
    2,
    'latchkey: revoke has no option --user (did you mean --account?)',
    HELP('revoke'),
  ],
  'start now': [2, 'latchkey: start does not take "now"', HELP('start')],
  'start --config': [2, 'latchkey: --config needs a value: --config FILE', HELP('start')],
  'start --help=yes': [2, 'latchkey: --help does not take a value', HELP('start')],
  '--config DIR/none.yaml accounts list': [
    2,
    'latchkey: put the command before its options: latchkey accounts list --config DIR/none.yaml',
    OVERVIEW,
  ],
  'check-config DIR/host.yaml': [
    2,
    'latchkey: check-config does not take "DIR/host.yaml" (did you mean --config DIR/host.yaml?)',
    HELP('check-config'),
  ],
  'revoke account ann@example.com': [
    2,
    'latchkey: revoke does not take "account" (did you mean --account?)',
    HELP('revoke'),
  ],
  'check-config FILE': [2, 'latchkey: check-config does not take "FILE"', HELP('check-config')],
  'check-config --config DIR/none.yaml': [
    1,
    'latchkey: DIR/none.yaml has a problem:',
    '',
    '  cannot be read (ENOENT): DIR/none.yaml does not exist; name an existing file',
  ],
  'check-config --config DIR': [
    1,
    'latchkey: DIR has a problem:',
    '',
    '  cannot be read (EISDIR): it is a folder; name a file in it',
  ],
  'health --redy': [2, 'latchkey: health has no option --redy (did you mean --ready?)', HELP('health')],
  accounts: [2, /accounts needs an action: list, show, add, /, HELP('accounts')],
  'accounts lsit': [2, 'latchkey: there is no command "accounts lsit" (did you mean list?)', HELP('accounts')],
  'accounts list now': [
    2,
    'latchkey: accounts list does not take "now": latchkey accounts list [--json] [--role ROLE] [--search TEXT]',
    HELP('accounts'),
  ],
  'accounts list --role': [2, 'latchkey: --role needs a value: --role ROLE', HELP('accounts')],
  'accounts list --yes': [
    2,
    'latchkey: accounts list does not take --yes: latchkey accounts list [--json] [--role ROLE] [--search TEXT]',
    HELP('accounts'),
  ],
  'accounts list --role Staff': [
    2,
    'latchkey: "Staff" is not a valid role: use lower-case letters, digits, _ and -',
    HELP('accounts'),
  ],
  'accounts list --config --json': [2, 'latchkey: --config needs a value: --config FILE', HELP('accounts')],
  'accounts show': [
    2,
    'latchkey: accounts show needs an ACCOUNT: latchkey accounts show ACCOUNT [--json]',
    HELP('accounts'),
  ],
  'accounts show nobody@example.com': [
    1,
    'latchkey: there is no account "nobody@example.com" in sqlite:DIR/store.db; "latchkey accounts list" shows all',
  ],
  'accounts add': [
    2,
    /^latchkey: accounts add needs an EMAIL: latchkey accounts add EMAIL \[--name NAME\] /,
    HELP('accounts'),
  ],
  'accounts add ann': [2, 'latchkey: "ann" is not an email address, such as ann@example.com', HELP('accounts')],
  'accounts add ann@example.com --password x': [
    2,
    'latchkey: accounts has no option --password, because everybody on this machine could read it: use --password-file FILE, or - for standard input',
    HELP('accounts'),
  ],
  'accounts add ann@example.com --password-file DIR/none': [
    1,
    'latchkey: DIR/none does not exist: name an existing file (ENOENT)',
  ],
  'accounts add ann@example.com --password-file DIR': [1, 'latchkey: DIR is a folder: name a file in it (EISDIR)'],
  'accounts add ann@example.com --password-file DIR/empty': [
    1,
    'latchkey: there is no password in DIR/empty: put it on one line',
  ],
  'accounts add ann@example.com --roles Admin': [
    2,
    'latchkey: "Admin" is not a valid role: use lower-case letters, digits, _ and -',
    HELP('accounts'),
  ],
  'accounts verify': [
    2,
    'latchkey: accounts verify needs an ACCOUNT: latchkey accounts verify ACCOUNT',
    HELP('accounts'),
  ],
  'accounts add-role ann@example.com': [
    2,
    'latchkey: accounts add-role needs a ROLE: latchkey accounts add-role ACCOUNT ROLE [--yes]',
    HELP('accounts'),
  ],
  'accounts password nobody@example.com': [
    1,
    'latchkey: there is no account "nobody@example.com" in sqlite:DIR/store.db; "latchkey accounts list" shows all',
  ],
  'clients add': [2, 'latchkey: clients add needs a FILE: latchkey clients add FILE', HELP('clients')],
  'clients add DIR/none.yaml': [
    1,
    'latchkey: DIR/none.yaml has a problem:',
    '',
    '  cannot be read (ENOENT): DIR/none.yaml does not exist; name an existing file',
  ],
  'clients add DIR/host.yaml': [1, '  DIR/host.yaml:6  listen: is not a setting: the only setting here is clients'],
  'clients add DIR/job': [
    1,
    'latchkey: DIR/job has a problem:',
    '',
    '  must be a client, or a list of them under clients',
  ],
  'check-config --config DIR/job': [
    1,
    'latchkey: DIR/job has a problem:',
    '',
    '  must be a mapping of settings: docs/latchkey.example.yaml lists all',
  ],
  'clients remove nope': [1, 'latchkey: there is no client "nope" in sqlite:DIR/store.db'],
  'clients disabel shop': [
    2,
    'latchkey: there is no command "clients disabel" (did you mean disable?)',
    HELP('clients'),
  ],
  'clients roll-secret nope': [1, 'latchkey: there is no client "nope" in sqlite:DIR/store.db'],
  'clients invite --uses none': [2, 'latchkey: --uses "none" must be a whole number from 1 to 10000', HELP('clients')],
  'clients invite --uses 0': [2, 'latchkey: --uses "0" must be a whole number from 1 to 10000', HELP('clients')],
  'clients invite --expires soon': [
    2,
    'latchkey: --expires "soon" must be a duration from 1s to 365d',
    HELP('clients'),
  ],
  'issuers test': [
    2,
    'latchkey: issuers test needs a TOKEN: latchkey issuers test TOKEN [--client CLIENT_ID]',
    HELP('issuers'),
  ],
  'issuers test a.b.c --client nope': [1, 'latchkey: there is no client "nope"; "latchkey clients list" shows all'],
  'issuers add': [2, 'latchkey: issuers add needs a FILE: latchkey issuers add FILE', HELP('issuers')],
  'issuers remove https://nobody.example': [
    1,
    'latchkey: there is no issuer "https://nobody.example" in sqlite:DIR/store.db',
  ],
  keys: [2, 'latchkey: keys needs an action: list, rotate, revoke, rewrap, export-public', HELP('keys')],
  'keys revoke': [2, 'latchkey: keys revoke needs a KID: latchkey keys revoke KID [--json] [--yes]', HELP('keys')],
  'keys revoke -abc': [
    2,
    'latchkey: keys has no option -a; put an argument that begins with a dash after --',
    HELP('keys'),
  ],
  'keys list --config DIR/no-keys.yaml': [
    1,
    'latchkey: There is no master key at DIR/none/master.key. Put yours back, or create one for a new installation as keys/README.md shows.',
  ],
  'keys rewrap --yes --to DIR/job': [
    1,
    'latchkey: --to DIR/job is already the file of clients[1].secret in DIR/latchkey.yaml: name a file that does not exist yet, or one that holds a new master key',
  ],
  'keys rewrap --yes --to DIR/linked': [1, /^latchkey: --to DIR\/linked is already the file of clients\[1\]\.secret /],
  'start --config DIR/host.yaml': [
    1,
    /^latchkey: listen\.host "no-such-host\.invalid" has no address \(E\w+\): set it \(LATCHKEY_HOST\) to an address of this machine, or to 0\.0\.0\.0 for all$/,
  ],
  'start --config DIR/address.yaml': [
    1,
    'latchkey: 192.0.2.1 is not an address of this machine: set listen.host (LATCHKEY_HOST) to one, or to 0.0.0.0 for all',
  ],
  'start --config DIR/proc.yaml': [
    1,
    'latchkey: sqlite:/proc/x/y.db cannot be opened: its folder cannot be created (ENOENT); name another file in stores.grants, stores.records or LATCHKEY_STORE',
  ],
  'start --config DIR/folder.yaml': [
    1,
    'latchkey: sqlite:/proc cannot be opened: it is a folder (EISDIR); name another file in stores.grants, stores.records or LATCHKEY_STORE',
  ],
  'start --config DIR/text.yaml': [
    1,
    'latchkey: sqlite:DIR/host.yaml is not a database: name another file in stores.grants, stores.records or LATCHKEY_STORE',
  ],
  'start --config DIR/keys.yaml': [
    1,
    /^latchkey: \/proc\/x\/master\.key cannot be read or created: ENOENT.* The user that runs Latchkey must own/,
  ],
  'secret new --file /proc/x/y': [
    1,
    'latchkey: /proc/x/y cannot be written (ENOENT): name a file in a folder that this user can write to',
  ],
  'keys rotate --alg ES265': [
    1,
    'latchkey: keys.algorithms does not list ES265: it has ES256, RS256 (did you mean ES256?)',
  ],
  revoke: [
    2,
    'latchkey: revoke needs one of --account, --client, --issuer, --session, --token, --everything',
    HELP('revoke'),
  ],
  'revoke --session s --before 1h': [2, 'latchkey: --before cannot be combined with --session', HELP('revoke')],
  'revoke --everything --before yesterday': [
    2,
    /^latchkey: --before "yesterday" must be a time such as 2026-01-31T12:00:00Z/,
    HELP('revoke'),
  ],
  'revoke --everything': [
    1,
    'latchkey: there is no terminal to ask for confirmation: add --yes to continue without asking',
  ],
  'revoke --token DIR/none': [1, 'latchkey: DIR/none does not exist: name an existing file (ENOENT)'],
  secret: [2, 'latchkey: secret needs an action: latchkey secret new [--file FILE]', HELP('secret')],
  'secret mew': [2, 'latchkey: there is no command "secret mew" (did you mean new?)', HELP('secret')],
  'secret new --file DIR/latchkey.yaml': [
    1,
    'latchkey: DIR/latchkey.yaml already exists and is not replaced: name another, or remove it',
  ],
  'init --config DIR/latchkey.yaml': [
    1,
    'latchkey: DIR/latchkey.yaml already exists and is not replaced: name another with --config FILE',
  ],
  'init --config DIR/new.yaml --issuer login': [
    2,
    'latchkey: --issuer "login" must be an absolute https URL',
    HELP('init'),
  ],
  'init --config DIR/new.yaml --app http://localhost:5173/notes': [
    2,
    'latchkey: --app "http://localhost:5173/notes" must be an origin: scheme, host and port, with no path and no slash at the end',
    HELP('init'),
  ],
  'init --config DIR/new.yaml --type sap': [
    2,
    'latchkey: --type "sap" must be one of spa, web (did you mean spa?)',
    HELP('init'),
  ],
};

describe('Wrong command lines', () => {
  const directory = mkdtempSync(join(tmpdir(), 'latchkey-wrong-'));
  before(async () => {
    writeFileSync(join(directory, 'latchkey.yaml'), FILE);
    writeFileSync(join(directory, 'no-keys.yaml'), `${FILE}\nkeys_dir: none\n`);
    writeFileSync(join(directory, 'empty'), '\n');
    for (const [name, text] of Object.entries(FAILING)) writeFileSync(join(directory, name), text);
    writeFileSync(join(directory, 'job'), secretToken(systemRandom), { mode: 0o600 });
    linkSync(join(directory, 'job'), join(directory, 'linked'));
    await makeStore(`sqlite:${join(directory, 'store.db')}`, 'configured', join(directory, 'keys'));
  });
  after(() => rmSync(directory, { recursive: true }));

  for (const [line, [code, ...lines]] of Object.entries(WRONG)) {
    it(`The program says what is wrong and what to do: ${line}`, async () => {
      const environment = { LATCHKEY_CONFIG: join(directory, 'latchkey.yaml') };
      const ended = await command(line.replaceAll('DIR', directory).split(' '), { environment });
      const shown = ended.err.replaceAll(directory, 'DIR').trimEnd().split('\n').slice(-lines.length);
      assert.deepEqual([ended.code, ended.out], [code, '']);
      for (const [index, expected] of lines.entries()) {
        if (expected instanceof RegExp) assert.match(shown[index] ?? '', expected);
        else assert.equal(shown[index], expected);
      }
    });
  }

  it('The table has at least fifty wrong lines', () => {
    assert.ok(Object.keys(WRONG).length >= 50);
  });
});
