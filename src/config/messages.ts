import type { z } from 'zod';
import type { Fault, Path } from './problems.ts';
import { keysAt } from './schema-reflection.ts';
import { didYouMean } from './suggest.ts';

type Issue = z.core.$ZodIssue;
type RawIssue = z.core.$ZodRawIssue;

const TYPES: Record<string, string> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a mapping',
  record: 'a mapping',
};

/** Words zod's issue for the operator. It quotes a value only if that is one of a fixed choice. */
export function inWords(issue: RawIssue): string | undefined {
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

/** Lists the settings of a mapping, for an operator who wrote another value in its place. */
function settingsAt(path: Path, schema: unknown): string {
  const known = keysAt(schema, path);
  return known.length === 0 ? '' : ` of settings: ${listed(known)}`;
}

function listed(known: readonly string[]): string {
  if (known.length === 1) return `only ${String(known[0])} stands here`;
  return known.length > 12 ? 'docs/latchkey.example.yaml lists all' : `there are ${known.join(', ')}`;
}

/** Turns zod's issues into faults: one for each unknown key, with the most likely intended key. */
export function faultsOf(issues: readonly Issue[], schema: unknown): Fault[] {
  return issues.flatMap((issue): Fault[] => {
    const path = issue.path.map((step) => (typeof step === 'number' ? step : String(step)));
    if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => unknownKey(key, path, schema));
    if (issue.code === 'invalid_key') return issue.issues.map(({ message }) => ({ path, message }));
    return [{ path, message: `${issue.message}${issue.message === A_MAPPING ? settingsAt(path, schema) : ''}` }];
  });
}

/** Settings of other servers, with the matching setting here, if any. */
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
  logo: 'this version shows no logo of the server: remove it, and set branding.name',
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
