/**
 * The order of the house: a room imports from rooms below its own, never from the same level or above.
 * `npm run imports` refuses the rest. The README of a room has the same list as its row here.
 */

const BELOW = 'everything below it';

/** From the ground up. A room is a folder of `src/` or one file; each has the rooms that it may import from. */
export const LEVELS = [
  { lib: [] },
  { config: ['lib'] },
  { storage: ['lib', 'config'], events: ['lib'], http: ['lib'], outgoing: ['lib'] },
  { limits: ['lib', 'storage', 'http'] },
  {
    accounts: ['lib', 'config', 'storage'],
    credentials: ['lib', 'config', 'storage', 'http', 'outgoing', 'limits'],
    clients: ['lib', 'config', 'storage'],
    forms: ['lib', 'storage', 'http'],
    issuers: ['lib', 'config', 'storage', 'outgoing'],
    keys: ['lib', 'config', 'storage'],
    status: ['lib', 'storage', 'http'],
  },
  { sessions: ['lib', 'config', 'storage', 'accounts', 'status'] },
  {
    interactions: ['lib', 'config', 'events', 'http', 'accounts', 'credentials', 'forms'],
    'account-pages': ['lib', 'config', 'storage', 'events', 'http', 'accounts', 'credentials', 'clients', 'forms'],
    oidc: [
      ...['lib', 'config', 'storage', 'events', 'http', 'outgoing', 'limits'],
      ...['accounts', 'credentials', 'clients', 'forms', 'keys', 'status', 'sessions'],
    ],
    grants: [
      ...['lib', 'config', 'storage', 'events', 'http', 'outgoing', 'limits'],
      ...['accounts', 'credentials', 'issuers', 'keys', 'status', 'sessions'],
    ],
    revocation: ['lib', 'storage', 'events', 'accounts', 'credentials', 'clients', 'issuers', 'status', 'sessions'],
    registration: ['lib', 'config', 'storage', 'events', 'http', 'outgoing', 'limits', 'clients', 'issuers'],
    backup: ['lib', 'storage', 'sessions'],
    signals: ['lib', 'config', 'storage', 'events', 'http', 'outgoing', 'accounts', 'clients', 'sessions'],
  },
  { domain: BELOW },
  { host: BELOW },
  { server: BELOW },
  { 'server.ts': BELOW },
  { cli: BELOW },
  { 'main.ts': BELOW },
];

/** Imports between rooms of one level, or into a room apart: each one needs its reason. */
export const EXCEPTIONS = [
  { from: 'credentials', to: 'accounts', reason: 'a credential is held by an account, and signing up makes both' },
  { from: 'interactions', to: 'oidc', reason: "a page answers the engine in the engine's terms: grants and scopes" },
  { from: 'grants', to: 'oidc', reason: 'a grant is an extension of the engine' },
  { from: 'revocation', to: 'oidc/logout', reason: 'an ended session leaves logout tokens to deliver to its apps' },
  { from: 'cli', to: 'demo', reason: 'the start command serves the demo apps in demo mode' },
];

/** Behind these stand the backends and the machine: who may open them. */
export const SIDE_ROOMS = {
  'storage/sqlite': ['storage/open-store.ts'],
  'storage/redis': ['storage/open-store.ts'],
  'storage/postgres': ['storage/open-store.ts'],
  'storage/open-store.ts': ['storage/open-stores.ts'],
  // The domain knows their type; it is handed them open.
  'storage/open-stores.ts': ['server.ts', 'domain', 'cli/store-context.ts', 'cli/store'],
  'domain/serving.ts': ['server.ts', 'server'],
  server: ['server.ts'],
  'config/loading/load.ts': ['cli'],
  'keys/pkcs11': ['keys/open-external.ts'],
  'config/loading/load-items.ts': ['cli'],
};

function path(room) {
  return room.endsWith('.ts') ? `^src/${room.replace('.', '\\.')}$` : `^src/${room}/`;
}

function ruleName(room) {
  return room.replace(/\W+/g, '-');
}

/** Rooms outside the order of the house, which import from none of its rooms. */
const APART = { 'resource-server': [], demo: ['resource-server'] };

/** The rooms that each room may import from, besides itself. */
export const MAY_IMPORT = { ...Object.fromEntries(LEVELS.flatMap(roomsOf)), ...APART };

function roomsOf(rooms, level) {
  const below = LEVELS.slice(0, level).flatMap((lower) => Object.keys(lower));
  return Object.entries(rooms).map(([room, listed]) => {
    const upwards = listed === BELOW ? [] : listed.filter((one) => !below.includes(one));
    if (upwards.length > 0) throw new Error(`${room} lists ${upwards.join(', ')}, which LEVELS does not have below it`);
    const exceptions = EXCEPTIONS.filter((one) => one.from === room).map((one) => one.to);
    return [room, [...(listed === BELOW ? below : listed), ...exceptions]];
  });
}

const inOrder = LEVELS.flatMap((rooms) => Object.keys(rooms)).map((room) => ({
  name: `${ruleName(room)}-imports-listed-rooms`,
  severity: 'error',
  comment: `${room} may import from: ${MAY_IMPORT[room].join(', ') || 'no other room'} (LEVELS, and its README)`,
  from: { path: path(room) },
  to: { path: '^(src|test)/', pathNot: [room, ...MAY_IMPORT[room]].map(path) },
}));

const sideRooms = Object.entries(SIDE_ROOMS).map(([room, from]) => ({
  name: `${ruleName(room)}-is-opened-by-few`,
  severity: 'error',
  comment: `only ${from.join(', ')} may import ${room}`,
  from: { path: '^src/', pathNot: [room, ...from].map(path) },
  to: { path: path(room) },
}));

const apart = [
  {
    name: 'resource-server-stands-alone',
    severity: 'error',
    comment: 'the kit for APIs is published by itself: nothing of ours, and jose only',
    from: { path: path('resource-server') },
    to: { pathNot: [path('resource-server'), '^node_modules/jose/'], dependencyTypesNot: ['core'] },
  },
  {
    name: 'demo-uses-what-everyone-gets',
    severity: 'error',
    comment: "the demo shows how to connect an app: it never reaches into the server's insides",
    from: { path: path('demo') },
    to: { path: '^(src|test)/', pathNot: ['demo', ...MAY_IMPORT.demo].map(path) },
  },
];

const tests = [
  {
    name: 'tests-open-the-domain',
    severity: 'error',
    comment: 'a test opens the domain (test/support/domain.ts) or runs a command line (test/support/command.ts)',
    from: { path: '^test/', pathNot: ['^test/cli/', '^test/support/command\\.ts$'] },
    to: { path: path('cli') },
  },
];

/** Where programs and threads begin. */
export const ENTRIES = [
  ...['main.ts', 'credentials/background-process.ts', 'credentials/strength-worker.ts'],
  ...Object.keys(APART),
];

const everywhere = [
  {
    name: 'every-room-has-a-level',
    severity: 'error',
    comment: 'a new folder or file of src/ gets a row in LEVELS',
    from: { path: '^src/', pathNot: Object.keys(MAY_IMPORT).map(path) },
    to: {},
  },
  {
    name: 'no-cycle',
    severity: 'error',
    comment: 'modules that import each other are one module',
    from: {},
    to: { circular: true },
  },
  {
    name: 'no-cycle-of-folders',
    severity: 'error',
    comment: 'the port and its backends are one folder inside the other; otherwise folders do not import each other',
    scope: 'folder',
    from: { path: '^src/', pathNot: '^src/storage' },
    to: { circular: true },
  },
  {
    name: 'no-dead-module',
    severity: 'error',
    comment: 'reached neither from the program nor from the kit: delete it',
    from: { path: ENTRIES.map(path) },
    to: { path: '^src/.*\\.ts$', pathNot: ENTRIES.map(path), reachable: false },
  },
  {
    name: 'no-orphan',
    severity: 'error',
    comment: 'imports nothing and is imported by nothing: delete it',
    // Read as text, and run in browsers.
    from: { orphan: true, path: '^(src|test/support)/', pathNot: '^src/oidc/logout/check-session\\.js$' },
    to: {},
  },
  {
    name: 'resolves',
    severity: 'error',
    comment: 'the file or package is not there',
    from: {},
    to: { couldNotResolve: true },
  },
  {
    name: 'ships-what-it-imports',
    severity: 'error',
    comment: 'what runs in production is in "dependencies"; types alone may come from elsewhere',
    from: { path: '^src/', pathNot: path('demo') },
    to: {
      dependencyTypes: ['npm-dev', 'npm-optional', 'npm-no-pkg', 'npm-unknown'],
      dependencyTypesNot: ['type-only'],
    },
  },
];

export default {
  forbidden: [...inOrder, ...sideRooms, ...apart, ...tests, ...everywhere],
  options: {
    doNotFollow: { path: 'node_modules' },
    // Types are knowledge too: a type-only import counts like any other.
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'default', 'types'] },
  },
};
