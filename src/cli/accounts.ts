import { addRole, removeRole } from './accounts-roles.ts';
import { add } from './accounts-add.ts';
import { list } from './accounts-list.ts';
import { findAction, type Actions } from './actions.ts';
import { configOption, type Command } from './command.ts';
import { passwordOption } from './new-password.ts';
import { storeScene, type StoreScene } from './store-scene.ts';

const ACTIONS: Actions<StoreScene> = {
  list: { options: ['json', 'role'], run: list },
  add: { words: ['EMAIL'], options: ['name', 'roles', 'password-file', 'yes'], run: add },
  'add-role': { words: ['ACCOUNT', 'ROLE'], options: ['yes'], run: addRole },
  'remove-role': { words: ['ACCOUNT', 'ROLE'], run: removeRole },
};

export const accounts: Command = {
  name: 'accounts',
  summary: 'list the accounts; add one, change what one may do',
  details: `accounts list                       every account, the oldest first, or those with --role
accounts add EMAIL                  makes an account; asks for its password, unless --password-file names it
accounts add-role ACCOUNT ROLE      gives it a role, or several with commas between: its next tokens say so
accounts remove-role ACCOUNT ROLE   takes a role away

An ACCOUNT is named by its email address or by its id. A running server on the same store knows of it at once.`,
  options: {
    ...configOption,
    json: { summary: 'for list: as JSON' },
    role: { value: 'ROLE', summary: 'for list: only those that have this role' },
    name: { value: 'NAME', summary: 'for add: what the person is called (default: what stands before the @)' },
    roles: { value: 'ROLES', summary: 'for add: with commas between (default: sign_up.roles)' },
    'password-file': passwordOption,
    yes: { summary: 'do not ask' },
  },
  words: ['ACTION', 'EMAIL|ACCOUNT', 'ROLE'],
  async run(given, terminal) {
    const { action, words } = findAction('accounts', ACTIONS, given);
    return action.run(storeScene(given, terminal), ...words);
  },
};
