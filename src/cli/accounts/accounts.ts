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
  summary: 'list and add accounts, change their roles and passwords, sign them out, disable or remove them',
  details: `accounts list                       every account, the oldest first, or those with --role or --search
accounts show ACCOUNT               its roles and their scopes, its sessions, and the apps with access
accounts add EMAIL                  makes an account; asks for its password, unless --password-file names it
accounts verify ACCOUNT             marks its email address as verified (email_verified, match_email)
accounts add-role ACCOUNT ROLE      gives it a role, or several separated by commas; its next tokens name them
accounts remove-role ACCOUNT ROLE   removes a role, and revokes the access tokens that hold it
accounts password ACCOUNT           sets a new password, ends its sessions and revokes all access of apps
accounts sign-out ACCOUNT           ends its sessions and revokes all access of apps
accounts disable ACCOUNT            the same, and refuses sign-in until it is enabled
accounts enable ACCOUNT             lets it sign in again
accounts remove ACCOUNT             removes it and everything stored for it; asks first

An ACCOUNT is named by its email address or by its id. A running server on the same store knows of it at once.`,
  options: {
    ...configOption,
    json: { summary: 'for list and show: as JSON' },
    role: { value: 'ROLE', summary: 'for list: only those that have this role' },
    search: { value: 'TEXT', summary: 'for list: only those with these beginnings of words, address or id' },
    name: { value: 'NAME', summary: 'for add: the name of the person (default: the part before the @)' },
    roles: { value: 'ROLES', summary: 'for add: separated by commas (default: sign_up.roles)' },
    'password-file': passwordOption,
    'email-verified': { summary: 'for add: marks the email address as verified' },
    yes: { summary: 'do not ask' },
  },
  words: ['ACTION', '[EMAIL|ACCOUNT]', '[ROLE]'],
  async run(given, terminal) {
    const { action, words } = findAction(accounts, ACTIONS, given);
    return action.run(storeContext(given, terminal), ...words);
  },
};
