import { hash } from 'node:crypto';
import { globSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { Client, Provider } from 'oidc-provider';

/** Fingerprints of the engine's members, by `owner member`. */
export type Inventory = Record<string, string>;

const LIB = dirname(fileURLToPath(import.meta.resolve('oidc-provider')));

/** The steps of these endpoints stand in arrays that modules export, by the name that the table has for them. */
const STEPS: Readonly<Record<string, string>> = {
  'actions/introspection.js default': 'steps of introspection',
  'actions/index.js introspection': 'steps of introspection',
  'actions/revocation.js default': 'steps of revocation',
  'actions/index.js revocation': 'steps of revocation',
  'actions/token.js default': 'steps of token',
  'actions/index.js token': 'steps of token',
  'actions/end_session.js init': 'steps of end_session',
  'actions/end_session.js confirm': 'steps of end_session_confirm',
};

/** Takes stock of a provider: its own members, its classes and their prototypes, its handlers, and a client of it. */
export function providerInventory(provider: Provider, client: Client, parts: object): Inventory {
  const all: Inventory = {};
  const add = (owner: string, object: unknown): void => {
    for (const [name, member] of membersOf(object)) all[`${owner} ${name}`] = member;
  };
  const classes = Object.entries(Object.getOwnPropertyDescriptors(Object.getPrototypeOf(provider) as object))
    .filter(([name, property]) => isFunction(Reflect.get(property, 'get')) && /^[A-Z]/.test(name))
    .map(([name]) => [name, Reflect.get(provider, name)] as const);
  const keyStore = (client as unknown as { asymmetricKeyStore: object }).asymmetricKeyStore.constructor;
  const base = Reflect.get(parts, 'BaseModel') as unknown;
  for (const [name, found] of [...classes, ['ClientKeyStore', keyStore] as const, ['BaseModel', base] as const]) {
    add(name, found);
    add(`${name}.prototype`, (found as { prototype: object }).prototype);
  }
  add('Provider.prototype', Object.getPrototypeOf(provider));
  for (const name of ['context', 'request', 'response'] as const) add(`Koa ${name}`, provider[name]);
  add('a client', functionsOnly(client));
  add('the provider', functionsOnly(provider));
  for (const [owner, name] of [['grant', 'grantTypeHandlers'] as const, ['response mode', 'responseModes'] as const])
    for (const [key, handler] of Reflect.get(parts, name) as Map<string, unknown>)
      all[`${owner} ${key}`] = print(handler);
  return all;
}

/** Takes stock of what the engine's modules export, which all providers of a process share. */
export async function moduleInventory(): Promise<Inventory> {
  const all: Inventory = {};
  for (const file of globSync('**/*.js', { cwd: LIB })) {
    const exported = (await import(pathToFileURL(join(LIB, file)).href)) as Record<string, unknown>;
    for (const [name, value] of Object.entries(exported)) addExport(all, `${file} ${name}`, value);
  }
  const { default: steps } = (await import(pathToFileURL(join(LIB, 'actions/authorization/index.js')).href)) as {
    default: (endpoint: string) => unknown[];
  };
  for (const endpoint of AUTHORIZATION) addSteps(all, `steps of ${endpoint}`, steps(endpoint));
  return all;
}

const AUTHORIZATION = [
  ...['authorization', 'resume', 'device_authorization', 'code_verification', 'device_resume'],
  ...['pushed_authorization_request', 'backchannel_authentication'],
];

function addExport(all: Inventory, name: string, value: unknown): void {
  if (Array.isArray(value)) addSteps(all, STEPS[name] ?? name, value);
  else if (typeof value === 'function' || (typeof value === 'object' && value !== null)) {
    all[name] = print(value);
    for (const [member, found] of membersOf(value)) all[`${name}.${member}`] = found;
    if (typeof value === 'function' && value.prototype !== undefined)
      for (const [member, found] of membersOf(value.prototype)) all[`${name}.prototype.${member}`] = found;
  }
}

/** Steps are known by their places: one that was replaced has another name. */
function addSteps(all: Inventory, owner: string, steps: readonly unknown[]): void {
  for (const [at, step] of steps.entries()) all[`${owner} #${at}`] = print(step);
}

/** The members of an object and of what it inherits from, as they are found through it. */
function membersOf(object: unknown): Map<string, string> {
  const found = new Map<string, string>();
  for (
    let at = object as object | null;
    at !== null && !isNative(at);
    at = Object.getPrototypeOf(at) as object | null
  ) {
    for (const [name, property] of Object.entries(Object.getOwnPropertyDescriptors(at)))
      if (!found.has(name) && !OF_EVERY_FUNCTION.includes(name))
        found.set(name, Object.values(property).filter(isFunction).map(print).join(' '));
  }
  return found;
}

const OF_EVERY_FUNCTION = ['length', 'name', 'prototype', 'arguments', 'caller', 'constructor'];

function isNative(object: object): boolean {
  return object === Function.prototype || object === Object.prototype;
}

function functionsOnly(object: object): object {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => typeof value === 'function'));
}

function isFunction(value: unknown): boolean {
  return typeof value === 'function';
}

/** A function by its name and its text, and everything else by its type. */
function print(value: unknown): string {
  if (typeof value !== 'function') return typeof value;
  return `${value.name} ${hash('sha256', Function.prototype.toString.call(value), 'base64url').slice(0, 16)}`;
}
