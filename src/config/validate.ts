import type { z } from 'zod';
import { checkConfig } from './checks.ts';
import { issuersAreFree } from './sections/issuer-checks.ts';
import { issuersSchema } from './sections/issuer-schema.ts';
import { checkClient, namesAreFree } from './sections/client-checks.ts';
import { isWithin, type Fault, type Path } from './problems.ts';
import { clientSchema, clientsSchema, reachSchema } from './sections/client-schema.ts';
import { configSchema, type ClientConfig, type Config, type Draft, type TrustedIssuer } from './schema.ts';
import { isMapping, keysAt } from './schema-reflection.ts';
import { didYouMean } from './suggest.ts';

type Issue = z.core.$ZodIssue;

type RawIssue = z.core.$ZodRawIssue;

export type Validated<T> = { value: T } | { faults: Fault[] };

/** Validates a tree of plain values and `Secret`s. No other function makes a `Config`. */
export function validate(tree: unknown): Validated<Config> {
  return read(configSchema, tree, (config) => checkConfig(config ?? draftOf(tree)));
}

/** Validates a list of clients as part of the given configuration. */
export function validateClients(tree: unknown, config: Config): Validated<{ clients: ClientConfig[] }> {
  const taken = config.clients.map((client) => client.client_id);
  return read(clientsSchema, tree, () => {
    const { clients, reaches = [] } = draftOf(tree);
    const draft = { ...config, clients, reaches };
    return [...checkConfig(draft), ...namesAreFree(draft, taken)];
  });
}

/** Validates a list of trusted issuers as part of the given configuration. */
export function validateIssuers(tree: unknown, config: Config): Validated<{ trusted_issuers: TrustedIssuer[] }> {
  const taken = config.trusted_issuers.map(({ issuer }) => issuer);
  return read(issuersSchema, tree, () => {
    const draft = { ...config, trusted_issuers: draftOf(tree).trusted_issuers };
    return [...checkConfig(draft), ...issuersAreFree(draft, taken)];
  });
}

/** Validates the settings of a self-described client like those of a configured one. Paths start at the client. */
export function validateClient(tree: object, config: Config): Validated<ClientConfig> {
  return read(clientSchema, tree, (client) => (client === undefined ? [] : checkClient(client, config)));
}

/**
 * Parses a tree and checks the result. @param check finds further faults; it gets `undefined` if the schema refused the
 * value
 */
function read<S extends z.ZodType>(
  schema: S,
  tree: unknown,
  check: (parsed: z.output<S> | undefined) => Fault[],
): Validated<z.output<S>> {
  const parsed = schema.safeParse(tree, { error: inWords });
  const found = check(parsed.data);
  if (parsed.success) return found.length === 0 ? { value: parsed.data } : { faults: found };
  const faults = faultsOf(parsed.error.issues, schema);
  // A further fault at a value that is already faulty is only a consequence, and is left out.
  const news = ({ path }: Fault) => !faults.some((fault) => isWithin(path, fault.path) || isWithin(fault.path, path));
  return { faults: [...faults, ...found.filter(news)] };
}

/** Returns the readable part of a faulty tree. List items keep their positions, so that paths stay correct. */
export function draftOf(tree: unknown): Draft {
  const root = isMapping(tree) ? tree : {};
  const { issuer, profile, listen, stores, keys, tokens, sessions, passwords, sign_up, resources, ...lists } =
    configSchema.shape;
  return {
    issuer: readable(issuer, root['issuer']),
    profile: readable(profile, root['profile']),
    listen: readable(listen, root['listen']),
    stores: readable(stores, root['stores']),
    keys: readable(keys, root['keys']),
    tokens: readable(tokens, root['tokens']),
    sessions: readable(sessions, root['sessions']),
    passwords: readable(passwords, root['passwords']),
    sign_up: readable(sign_up, root['sign_up']),
    registration: readable(lists.registration, root['registration']),
    client_id_metadata_documents: readable(lists.client_id_metadata_documents, root['client_id_metadata_documents']),
    shared_signals: readable(lists.shared_signals, root['shared_signals']),
    resources: listOf(root['resources']).map((item) => readableItem(resources.unwrap().element, item, { name: '-' })),
    outgoing: readable(lists.outgoing, root['outgoing']),
    authorization_details_types: readable(lists.authorization_details_types, root['authorization_details_types']),
    redirect_schemes: readable(lists.redirect_schemes, root['redirect_schemes']),
    clients: listOf(root['clients']).map((item, index) =>
      readableItem(clientSchema, item, { client_id: `clients[${index}]`, client_name: '-' }),
    ),
    reaches: listOf(root['clients']).map((item) => readable(reachSchema, item)),
    trusted_issuers: listOf(root['trusted_issuers']).map((item) =>
      readable(lists.trusted_issuers.unwrap().element, item),
    ),
    accounts: listOf(root['accounts']).map((item, index) =>
      readableItem(lists.accounts.unwrap().element, item, { email: `accounts-${index}@unreadable.invalid`, name: '-' }),
    ),
  };
}

function readable<S extends z.ZodType>(schema: S, value: unknown): z.output<S> | undefined {
  return schema.safeParse(value).data;
}

/**
 * Reads the valid settings of an item, so that one typo does not hide its other faults. @param names placeholders for
 * required settings that are faulty or missing
 */
function readableItem<S extends z.ZodType>(
  schema: S,
  item: unknown,
  names: Record<string, string> = {},
): z.output<S> | undefined {
  const parsed = schema.safeParse(item);
  if (parsed.success || !isMapping(item)) return parsed.data;
  const faulty = parsed.error.issues.flatMap((issue) =>
    issue.code === 'unrecognized_keys' ? issue.keys : issue.path[0],
  );
  const kept = Object.entries(item).filter(([key]) => !faulty.includes(key));
  return readable(schema, { ...names, ...Object.fromEntries(kept) });
}

function listOf(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

const TYPES: Record<string, string> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a mapping',
  record: 'a mapping',
};

/**
 * Turns zod's issue into a message for the operator. The message does not quote the operator's value, which may be a
 * secret.
 */
function inWords(issue: RawIssue): string | undefined {
  switch (issue.code) {
    case 'invalid_type':
      return issue.input === undefined ? 'is required' : `must be ${TYPES[issue.expected] ?? issue.expected}`;
    case 'invalid_value':
      return oneOf(issue.values.map(String), issue.input);
    case 'too_small':
      return issue.origin === 'string' && issue.minimum === 1
        ? 'must not be empty'
        : bound('least', issue, issue.minimum);
    case 'too_big':
      return bound('most', issue, issue.maximum);
    case 'invalid_format':
      return FORMATS[issue.format];
    default:
      return undefined;
  }
}

const FORMATS: Record<string, string> = {
  url: 'must be an absolute URL',
  email: 'must be an email address',
};

function oneOf(values: readonly string[], input: unknown): string {
  if (input === undefined) return `is required: one of ${values.join(', ')}`;
  return `must be one of ${values.join(', ')}${typeof input === 'string' ? didYouMean(input, values) : ''}`;
}

function bound(side: 'least' | 'most', issue: RawIssue, limit: number | bigint): string {
  return `must be at ${side} ${limit}${issue.origin === 'string' ? ' characters long' : ''}`;
}

const A_MAPPING = 'must be a mapping';

/** Lists the settings of a mapping, for an operator who wrote a value of another type in its place. */
function settingsAt(path: Path, schema: unknown): string {
  const known = keysAt(schema, path);
  return known.length === 0 ? '' : ` of settings: ${listed(known)}`;
}

function listed(known: readonly string[]): string {
  if (known.length === 1) return `the only setting here is ${String(known[0])}`;
  return known.length > 12 ? 'docs/latchkey.example.yaml lists all' : `the settings here are ${known.join(', ')}`;
}

/** Turns zod's issues into faults. Each unknown key becomes one fault, with the most likely intended key. */
function faultsOf(issues: readonly Issue[], schema: unknown): Fault[] {
  return issues.flatMap((issue): Fault[] => {
    const path = issue.path.map((step) => (typeof step === 'number' ? step : String(step)));
    if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => unknownKey(key, path, schema));
    if (issue.code === 'invalid_key') return issue.issues.map(({ message }) => ({ path, message }));
    return [{ path, message: `${issue.message}${issue.message === A_MAPPING ? settingsAt(path, schema) : ''}` }];
  });
}

/** Hints for the settings of other servers, by their names there. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  port: 'write listen.port',
  host: 'write listen.host',
  tls: 'write listen.tls',
  database: 'write stores.grants',
  redis: 'write stores.grants',
  store: 'write stores.grants',
  users: 'write accounts',
  apis: 'write resources',
  apps: 'write clients',
  client_secret: 'write secret: { file: PATH } or { env: NAME }',
  scope: 'write scopes, a list',
  mail: 'this version sends no mail: remove it',
  smtp: 'this version sends no mail: remove it',
  email: 'this version sends no mail: remove it',
  logo: 'this version does not show a logo: remove it, and set branding.name',
};

function unknownKey(key: string, path: Path, schema: unknown): Fault {
  return { path: [...path, key], message: `is not a setting${hintFor(key, keysAt(schema, path))}` };
}

function hintFor(key: string, known: readonly string[]): string {
  const meant = didYouMean(key, known);
  const elsewhere = Object.hasOwn(ELSEWHERE, key) ? ELSEWHERE[key] : undefined;
  if (meant !== '' || elsewhere === undefined) {
    return meant || `: ${listed(known)}`;
  }
  return `: ${elsewhere}`;
}
