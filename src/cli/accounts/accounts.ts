import { add } from './add.ts';
import { disable, enable, remove, setPassword, signOut, verify } from './change.ts';
import { list } from './list.ts';
import { addRole, removeRole } from './roles.ts';
import { show } from './show.ts';
import { findAction, type Actions } from '../actions.ts';
import { configOption, type Command } from '../command.ts';
import { passwordOption } from '../new-password.ts';
import { storeContext, type StoreContext } from '../store-context.ts';

const ACCOUNT = ['ACCOUNT'];

const ACTIONS: Actions<StoreContext> = {
  list: { options: ['json', 'role', 'search'], run: list },
  show: { words: ACCOUNT, options: ['json'], run: show },
  add: { words: ['EMAIL'], options: ['name', 'roles', 'password-file', 'email-verified', 'yes'], run: add },
  verify: { words: ACCOUNT, run: verify },
  'add-role': { words: ['ACCOUNT', 'ROLE'], options: ['yes'], run: addRole },
  'remove-role': { words: ['ACCOUNT', 'ROLE'], run: removeRole },
  password: { words: ACCOUNT, options: ['password-file'], run: setPassword },
  'sign-out': { words: ACCOUNT, run: signOut },
  disable: { words: ACCOUNT, run: disable },
  enable: { words: ACCOUNT, run: enable },
  remove: { words: ACCOUNT, options: ['yes'], run: remove },
};

export const accounts: Command = {
  name: 'accounts',
  summary: 'list, add, change, sign out, disable or remove accounts',
  details: `accounts list                       lists all accounts, the oldest first, or those with --role or --search
accounts show ACCOUNT               shows its roles and scopes, its sessions, and the apps that have access
accounts add EMAIL                  creates an account; asks for its password, unless --password-file is given
accounts verify ACCOUNT             marks its email address as verified, for email_verified and match_email
accounts add-role ACCOUNT ROLE      adds a role, or several separated by commas; new tokens contain them
accounts remove-role ACCOUNT ROLE   removes a role, and revokes the account's access tokens
accounts password ACCOUNT           sets a new password, ends all sessions and revokes the access of all apps
accounts sign-out ACCOUNT           ends all sessions and revokes the access of all apps
accounts disable ACCOUNT            does the same, and blocks sign-in until the account is enabled
accounts enable ACCOUNT             allows sign-in again
accounts remove ACCOUNT             deletes the account and all of its data; asks first

ACCOUNT is an email address or an account id. Servers that run on the same store apply each change at once.`,
  options: {
    ...configOption,
    json: { summary: 'for list and show: print JSON' },
    role: { value: 'ROLE', summary: 'for list: only the accounts with this role' },
    search: {
      value: 'TEXT',
      summary: 'for list: only the accounts with this id, email address or beginnings of words',
    },
    name: { value: 'NAME', summary: 'for add: the name of the person (default: the part of EMAIL before the @)' },
    roles: { value: 'ROLES', summary: 'for add: the roles, separated by commas (default: sign_up.roles)' },
    'password-file': passwordOption,
    'email-verified': { summary: 'for add: mark the email address as verified' },
    yes: { summary: 'do not ask for confirmation' },
  },
  words: ['ACTION', '[EMAIL|ACCOUNT]', '[ROLE]'],
  async run(given, terminal) {
    const { action, words } = findAction(accounts, ACTIONS, given);
    return action.run(storeContext(given, terminal), ...words);
  },
};
