import eslint from '@eslint/js';
import { defineConfig, globalIgnores } from 'eslint/config';
import globals from 'globals';
import tseslint from 'typescript-eslint';
import { commentOpenings } from './test/repository/lint/comment-openings.js';

/** Packages and modules that have one home each, so that replacing one is a change in one folder. */
const FENCES = [
  { group: ['node:sqlite'], home: 'src/storage/sqlite/**', reason: 'SQLite is spoken in storage/sqlite/ only' },
  { group: ['ioredis', 'ioredis/**'], home: 'src/storage/redis/**', reason: 'Redis is spoken in storage/redis/ only' },
  {
    group: ['pg', 'pg/**', 'pg-*'],
    home: 'src/storage/postgres/**',
    reason: 'PostgreSQL is spoken in storage/postgres/ only',
  },
  { group: ['koffi'], home: 'src/keys/pkcs11/**', reason: 'libraries in C are called in keys/pkcs11/ only' },
  { group: ['argon2'], home: 'src/credentials/**', reason: 'passwords are hashed in credentials/ only' },
  { group: ['oidc-provider/lib/**'], home: 'src/oidc/internals.ts', reason: "the engine's insides stay in one file" },
  {
    group: ['node:crypto'],
    importNames: ['randomBytes', 'randomUUID', 'randomInt', 'randomFill', 'randomFillSync', 'webcrypto'],
    home: 'src/lib/**',
    reason: 'take a Random (lib/random.ts) as an argument',
  },
  {
    group: ['node:process', 'process'],
    importNames: ['env'],
    home: 'src/config/**',
    reason: 'config/ reads the environment',
  },
];

/** What is read from the machine and not from an argument, so that a test could not move it. */
const AMBIENT = [
  { object: 'Date', property: 'now', home: 'src/lib/**', message: 'Take a Clock (lib/clock.ts) as an argument.' },
  { object: 'Math', property: 'random', home: 'src/lib/**', message: 'Take a Random (lib/random.ts) as an argument.' },
  {
    object: 'process',
    property: 'env',
    home: 'src/config/**',
    message: 'Take the value as an argument; config/ reads the environment.',
  },
];

const NEW_DATE = {
  selector: ':matches(NewExpression, CallExpression)[callee.name="Date"][arguments.length=0]',
  message: 'Take a Clock (lib/clock.ts) as an argument.',
};

/** A part is handed what it uses by name, so that a reader sees what is made of what. */
const NO_BUNDLE = {
  selector:
    'ObjectExpression > SpreadElement > Identifier[name=/^(base|context|dependencies|domain|parts|scene|serving|shared)$/]',
  message: 'Name what the part uses, one by one, instead of spreading a bundle.',
};

/** Ways to replace a method of a class, or to have an event of the engine change an answer. */
const PATCHES = [
  'AssignmentExpression[left.object.property.name="prototype"]',
  'AssignmentExpression[left.object.name=/^([A-Z].*|prototype)$/]',
  'CallExpression[callee.object.name=/^(Object|Reflect)$/][callee.property.name=/^(assign|set|define)/][arguments.0.property.name="prototype"]',
  'CallExpression[callee.object.name=/^(Object|Reflect)$/][callee.property.name=/^(assign|set|define)/][arguments.0.name=/^([A-Z].*|prototype)$/]',
  'CallExpression[callee.property.name=/^(on|once|addListener|prepend.*Listener)$/]:matches([callee.object.name="provider"], [callee.object.expression.name="provider"])',
].map((selector) => ({
  selector,
  message: 'Give the engine a row in oidc/engine-overrides.ts; nothing else patches a class.',
}));

/** A failing test must not hang. */
const ENDLESS = [
  {
    selector: 'WhileStatement > .test AwaitExpression, WhileStatement > AwaitExpression.test',
    message: 'Wait with until() of test/support/until.ts, which gives up.',
  },
  {
    selector: ':matches(ForStatement:not([test]), WhileStatement[test.value=true]):has(AwaitExpression)',
    message: 'Bound the loop, and fail after it.',
  },
  {
    selector:
      'CallExpression[callee.name="it"] VariableDeclaration[kind!="await using"] > VariableDeclarator > AwaitExpression > CallExpression[callee.name="startTestServer"]',
    message: 'Declare the server with `await using`, so that it is closed when the test fails.',
  },
];

/** The fences as seen from one place: all but those that have their home there. */
function fencesOutside(home) {
  const patterns = FENCES.filter((fence) => fence.home !== home).map(({ group, importNames, reason }) => ({
    group,
    ...(importNames && { importNames }),
    message: reason,
  }));
  const ambient = AMBIENT.filter((one) => one.home !== home).map(({ object, property, message }) => ({
    object,
    property,
    message,
  }));
  return {
    'no-restricted-imports': ['error', { patterns }],
    'no-restricted-properties': ['error', ...ambient],
  };
}

const HOMES = [...new Set([...FENCES, ...AMBIENT].map((one) => one.home))];

export default defineConfig(
  globalIgnores(['node_modules/', '.latchkey/', 'dist/']),
  eslint.configs.recommended,
  {
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: { eqeqeq: 'error', 'no-var': 'error', 'prefer-const': 'error', 'object-shorthand': 'error' },
  },
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      '@typescript-eslint/prefer-readonly': 'error',
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      // An early end reads well as `return refuse(…)`.
      '@typescript-eslint/no-confusing-void-expression': [
        'error',
        { ignoreArrowShorthand: true, ignoreVoidReturningFunctions: true },
      ],
      // A string is spread on purpose: into code points.
      '@typescript-eslint/no-misused-spread': ['error', { allow: ['string'] }],
      // A synchronous backend keeps the asynchronous port by `async` alone, so that it rejects and never throws.
      '@typescript-eslint/require-await': 'off',
      // An index signature is read with brackets (`noPropertyAccessFromIndexSignature`).
      '@typescript-eslint/dot-notation': ['error', { allowIndexSignaturePropertyAccess: true }],
      // Unused parameters are the compiler's business (`noUnusedParameters`).
      '@typescript-eslint/no-unused-vars': ['error', { args: 'none', ignoreRestSiblings: true }],
    },
  },
  {
    files: ['src/**/*.ts'],
    rules: {
      'max-lines': ['error', { max: 350 }],
      'max-lines-per-function': ['error', { max: 50, skipBlankLines: true, skipComments: true }],
      complexity: ['error', 12],
      'max-depth': ['error', 3],
      'max-params': ['error', 5],
      'no-console': 'error',
      'no-restricted-exports': ['error', { restrictDefaultExports: { direct: true, named: true, defaultFrom: true } }],
      'no-restricted-syntax': ['error', NEW_DATE, NO_BUNDLE, ...PATCHES],
      ...fencesOutside(undefined),
    },
  },
  {
    files: ['src/**/*.{ts,js}'],
    plugins: { latchkey: { rules: { 'comment-openings': commentOpenings } } },
    rules: { 'latchkey/comment-openings': 'error' },
  },
  HOMES.map((home) => ({ files: [home], rules: fencesOutside(home) })),
  { files: ['src/lib/**'], rules: { 'no-restricted-syntax': ['error', NO_BUNDLE, ...PATCHES] } },
  // The table is installed by the first; the second listens and changes nothing.
  {
    files: ['src/oidc/engine-members.ts', 'src/oidc/engine-events.ts'],
    rules: { 'no-restricted-syntax': ['error', NEW_DATE, NO_BUNDLE] },
  },
  { files: ['src/cli/**', 'src/demo/**'], rules: { 'no-console': 'off' } },
  { files: ['test/**/*.ts'], rules: { 'no-restricted-syntax': ['error', ...ENDLESS] } },
  // Scripts of the demo apps' and the server's pages.
  { files: ['src/**/*.js', 'views/**/*.js'], languageOptions: { globals: globals.browser } },
  // It is loaded by a plain script tag.
  { files: ['views/page.js'], languageOptions: { sourceType: 'script' } },
);
