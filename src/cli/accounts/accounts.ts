import { add } from './add.ts';
import { disable, enable, remove, setPassword, signOut } from './end.ts';
import { list } from './list.ts';
import { addRole, removeRole } from './roles.ts';
import { show } from './show.ts';
import { verify } from './verify.ts';
import { findAction, type Actions } from '../actions.ts';
import { configOption, type Command } from '../command.ts';
import { passwordOption } from '../new-password.ts';
import { storeContext, type StoreContext } from '../store-context.ts';

const ACCOUNT = ['ACCOUNT'];

const ACTIONS: Actions<StoreContext> = {
  list: { options: ['json', 'role'], run: list },
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
  summary: 'list the accounts; add one, change what one may do, end what one has',
  details: `accounts list                       every account, the oldest first, or those with --role
accounts show ACCOUNT               its roles and what they open, where it is signed in, which apps have access
accounts add EMAIL                  makes an account; asks for its password, unless --password-file names it
accounts verify ACCOUNT             vouches that its address is its owner's: email_verified, match_email
accounts add-role ACCOUNT ROLE      gives it a role, or several with commas between: its next tokens say so
accounts remove-role ACCOUNT ROLE   removes a role, and revokes the access tokens that hold it
accounts password ACCOUNT           sets a new password, and ends every session and what every app has
accounts sign-out ACCOUNT           ends every session and what every app has
accounts disable ACCOUNT            the same, and nobody signs in to it until it is enabled
accounts enable ACCOUNT             lets it sign in again
accounts remove ACCOUNT             removes it with all that it has; asks first

An ACCOUNT is named by its email address or by its id. A running server on the same store knows of it at once.`,
  options: {
    ...configOption,
    json: { summary: 'for list and show: as JSON' },
    role: { value: 'ROLE', summary: 'for list: only those that have this role' },
    name: { value: 'NAME', summary: 'for add: what the person is called (default: what stands before the @)' },
    roles: { value: 'ROLES', summary: 'for add: with commas between (default: sign_up.roles)' },
    'password-file': passwordOption,
    'email-verified': { summary: "for add: vouches that the address is the person's" },
    yes: { summary: 'do not ask' },
  },
  words: ['ACTION', '[EMAIL|ACCOUNT]', '[ROLE]'],
  async run(given, terminal) {
    const { action, words } = findAction(accounts, ACTIONS, given);
    return action.run(storeContext(given, terminal), ...words);
  },
};
