import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse as parseYaml } from 'yaml';
import { z } from 'zod';
import { readYaml } from '../../src/config/loading/source.ts';
import { pathText, type Path } from '../../src/config/problems.ts';
import { configSchema } from '../../src/config/schema.ts';
import { isMapping, required, schemaUnder } from '../../src/config/schema-reflection.ts';
import { parse } from './problems-of.ts';

const TEXT = readFileSync(new URL('../../docs/latchkey.example.yaml', import.meta.url), 'utf8');
const SECRETS = {
  PARTNER_CLIENT_SECRET: 'the-secret-of-the-partner-of-us',
  CALL_CENTRE_SECRET: 'the-secret-of-the-call-centre-here',
  PARTNER_CLIENT_SECRET_BEFORE: 'the-secret-of-the-partner-before',
};
const LINES = TEXT.split('\n');
const EXAMPLE = readYaml(TEXT);

interface Setting {
  path: Path;
  schema: unknown;
}

/** Every setting that stands in the example, lists and mappings included. */
function settingsIn(schema: unknown, value: unknown, path: Path = []): Setting[] {
  const below = Array.isArray(value)
    ? value.flatMap((item, index) => settingsIn(schemaUnder(schema, index), item, [...path, index]))
    : isMapping(value)
      ? Object.entries(value).flatMap(([key, item]) => settingsIn(schemaUnder(schema, key), item, [...path, key]))
      : [];
  return schema === undefined ? below : [{ path, schema }, ...below];
}

/** Every setting that there is: `clients[].redirect_uris`. */
function settingsOf(schema: unknown, name = ''): string[] {
  const inner = required(schema);
  if (inner instanceof z.ZodObject) {
    return Object.entries(inner.shape).flatMap(([key, under]) => {
      const path = name === '' ? key : `${name}.${key}`;
      return [path, ...settingsOf(under, path)];
    });
  }
  if (inner instanceof z.ZodArray) return settingsOf(inner.element, `${name}[]`);
  return inner instanceof z.ZodRecord ? settingsOf(inner.valueType, `${name}.*`) : [];
}

const general = ({ path }: Setting) =>
  pathText(path)
    .replace(/\[\d+\]/g, '[]')
    .replace(/(\.scopes)(\["[^"]+"\])/, '$1.*')
    .replace(/(\.claims)\.\w+/, '$1.*');

/** The default that the line of a setting states: `# default: 15m`. */
function statedDefault({ path }: Setting): string | undefined {
  const line = LINES[(EXAMPLE.lineOf(path) ?? 0) - 1] ?? '';
  return / # default: (.+)$/.exec(line)?.[1];
}

/** Sections have no default of their own: each of their settings has. */
function hasDefault({ schema }: Setting): boolean {
  return (
    schema instanceof z.ZodDefault || (schema instanceof z.ZodPrefault && !(required(schema) instanceof z.ZodObject))
  );
}

const SETTINGS = settingsIn(configSchema, EXAMPLE.value).filter(({ path }) => typeof path.at(-1) === 'string');

/** What the example means when one setting is given another value, or is left out. */
function meaning(path: Path, value: unknown): unknown {
  const tree: unknown = structuredClone(EXAMPLE.value);
  const parent = path.slice(0, -1).reduce<object>((at, step) => inner(Reflect.get(at, step)), inner(tree));
  const key = String(path.at(-1));
  if (value === undefined) Reflect.deleteProperty(parent, key);
  else Reflect.set(parent, key, value);
  const { data } = configSchema.safeParse(withoutSecrets(tree));
  assert.ok(data !== undefined, pathText(path));
  return data;
}

function inner(value: unknown): object {
  assert.ok(typeof value === 'object' && value !== null);
  return value;
}

/** The settings that need a file are beside the point here. */
function withoutSecrets(tree: unknown): unknown {
  return JSON.parse(
    JSON.stringify(tree, (key, value: unknown) =>
      key.endsWith('secret') || key === 'accounts' || key === 'pkcs11' ? undefined : value,
    ),
  );
}

describe('The example configuration', () => {
  it('The example configuration is valid without warnings', () => {
    const folder = mkdtempSync(join(tmpdir(), 'latchkey-example-'));
    try {
      for (const name of ['secrets', 'tls', 'hsm', 'breached']) mkdirSync(join(folder, name));
      for (const name of [
        'secrets/orders-api',
        'secrets/admin-password',
        'secrets/hsm-pin',
        'tls/fullchain.pem',
        'tls/key.pem',
        'tls/client-ca.pem',
        'tls/internal-ca.pem',
        'hsm/pkcs11.so',
        'breached/pwned-passwords.txt',
      ]) {
        writeFileSync(join(folder, name), 'a-value-that-is-long-enough', { mode: 0o600 });
      }
      const { config, warnings } = parse(TEXT, { folder, environment: SECRETS });
      assert.deepEqual(
        config.clients.map(({ client_id }) => client_id),
        [
          'shop',
          'partner',
          'orders-api',
          'ledger',
          'payroll',
          'orders-service',
          'mailer',
          'gateway',
          'printer',
          'call-centre',
          'television',
          'archive',
        ],
      );
      assert.deepEqual(warnings, []);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('The example configuration shows every setting', () => {
    const shown = new Set(SETTINGS.map(general));
    assert.deepEqual(
      settingsOf(configSchema).filter((name) => !shown.has(name)),
      [],
    );
  });

  it('The example configuration states a default exactly for the settings that have one', () => {
    const withDefault = new Set(SETTINGS.filter(hasDefault).map(general));
    const stated = new Set(SETTINGS.filter((setting) => statedDefault(setting) !== undefined).map(general));
    assert.deepEqual([...stated].toSorted(), [...withDefault].toSorted());
  });

  for (const setting of SETTINGS.filter(({ path }) => path[0] !== 'accounts' || path.length === 1)) {
    const stated = statedDefault(setting);
    if (stated === undefined || !hasDefault(setting)) continue;
    it(`The example configuration states the true default of ${pathText(setting.path)}: ${stated}`, () => {
      assert.deepEqual(meaning(setting.path, parseYaml(stated)), meaning(setting.path, undefined));
    });
  }

  it('The example configuration states the true default of an account’s roles', () => {
    const account = (roles: string) =>
      parse(`issuer: https://a.example\naccounts: [{ email: a@b.example, name: A, password: { env: P }${roles} }]`, {
        environment: { P: 'a-value-that-is-long-enough' },
      }).config.accounts[0]?.roles;
    const roles = SETTINGS.find((setting) => pathText(setting.path) === 'accounts[0].roles');
    assert.ok(roles !== undefined);
    assert.deepEqual(account(''), parseYaml(statedDefault(roles) ?? ''));
  });
});
