/**
 * The order of the house: a room imports from rooms below its own, never from the same level or above.
 * `npm run imports` refuses the rest.
 */

/** From the ground up. A room is a folder of `src/` or one file. */
const LEVELS = [
  ['lib'],
  ['config'],
  ['storage', 'events', 'http', 'outgoing'],
  ['limits'],
  ['accounts', 'credentials', 'clients', 'forms', 'issuers', 'keys', 'status', 'audit', 'metrics'],
  ['sessions'],
  ['interactions', 'account-pages', 'admin', 'oidc', 'grants', 'revocation', 'registration', 'signals'],
  ['domain'],
  ['host'],
  ['server'],
  ['server.ts'],
  ['cli'],
  ['main.ts'],
];

/** Imports between rooms of one level, or into a room apart: each one needs its reason. */
const EXCEPTIONS = [
  { from: 'credentials', to: 'accounts', reason: 'a credential is held by an account, and signing up makes both' },
  { from: 'interactions', to: 'oidc', reason: "a page answers the engine in the engine's terms: grants and scopes" },
  { from: 'grants', to: 'oidc', reason: 'a grant is an extension of the engine' },
  { from: 'revocation', to: 'oidc/logout', reason: 'an ended session leaves logout tokens to deliver to its apps' },
  { from: 'cli', to: 'demo', reason: 'the start command serves the demo apps in demo mode' },
];

/** Behind these stand the backends and the machine: who may open them. */
const SIDE_ROOMS = {
  'storage/sqlite': ['storage/open-store.ts'],
  'storage/redis': ['storage/open-store.ts'],
  'storage/open-store.ts': ['storage/open-stores.ts', 'server.ts', 'cli'],
  // The domain knows their type; it is handed them open.
  'storage/open-stores.ts': ['server.ts', 'domain', 'cli/store-context.ts'],
  'domain/serving.ts': ['server.ts', 'server'],
  server: ['server.ts'],
  'config/loading/load.ts': ['server.ts', 'cli'],
  'keys/pkcs11': ['keys/open-external.ts'],
  'config/loading/load-items.ts': ['cli'],
};

const path = (room) => (room.endsWith('.ts') ? `^src/${room.replace('.', '\\.')}$` : `^src/${room}/`);
const ruleName = (room) => room.replace(/\W+/g, '-');

function imports(room, below) {
  const apart = EXCEPTIONS.filter((one) => one.from === room).map((one) => one.to);
  return {
    name: `${ruleName(room)}-imports-downwards`,
    severity: 'error',
    comment: `${room} may import from: ${[...below, ...apart].join(', ') || 'nothing of ours'}`,
    from: { path: path(room) },
    to: { path: '^(src|test)/', pathNot: [room, ...below, ...apart].map(path) },
  };
}

const downwards = LEVELS.flatMap((rooms, level) => rooms.map((room) => imports(room, LEVELS.slice(0, level).flat())));

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
    to: { path: '^(src|test)/', pathNot: [path('demo'), path('resource-server')] },
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

const ROOMS = [...LEVELS.flat(), 'resource-server', 'demo'];
/** Where programs and threads begin. */
const ENTRIES = [
  ...['main.ts', 'credentials/background-process.ts', 'credentials/strength-worker.ts'],
  ...['resource-server', 'demo'],
].map(path);

const everywhere = [
  {
    name: 'every-room-has-a-level',
    severity: 'error',
    comment: 'a new folder or file of src/ gets its place in LEVELS',
    from: { path: '^src/', pathNot: ROOMS.map(path) },
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
    from: { path: ENTRIES },
    to: { path: '^src/.*\\.ts$', pathNot: ENTRIES, reachable: false },
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
  forbidden: [...downwards, ...sideRooms, ...apart, ...tests, ...everywhere],
  options: {
    doNotFollow: { path: 'node_modules' },
    // Types are knowledge too: a type-only import counts like any other.
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'default', 'types'] },
  },
};
