import type { z } from 'zod';
import { checkConfig } from './checks.ts';
import { faultsOf, inWords } from './messages.ts';
import { isWithin, type Fault } from './problems.ts';
import { clientSchema, configSchema, type ClientConfig, type Config, type Draft } from './schema.ts';
import { isMapping } from './shape.ts';

export type Validated = { config: Config } | { faults: Fault[] };

/** Reads a tree of plain values and `Secret`s as a configuration: the one way to a `Config`. */
export function validate(tree: unknown): Validated {
  const parsed = configSchema.safeParse(tree, { error: inWords });
  if (parsed.success) {
    const faults = checkConfig(parsed.data);
    return faults.length === 0 ? { config: parsed.data } : { faults };
  }
  const faults = faultsOf(parsed.error.issues, configSchema);
  // Where a value is faulty itself, what it does to the check of the same place is a consequence and not news.
  const news = ({ path }: Fault) => !faults.some((fault) => isWithin(path, fault.path) || isWithin(fault.path, path));
  return { faults: [...faults, ...checkConfig(draftOf(tree)).filter(news)] };
}

/** What of a faulty tree can be read. Items of a list keep their places, so that paths stay true. */
function draftOf(tree: unknown): Draft {
  const root = isMapping(tree) ? tree : {};
  const { issuer, listen, tokens, sessions, passwords, resources, accounts } = configSchema.shape;
  return {
    issuer: readable(issuer, root['issuer']),
    listen: readable(listen, root['listen']),
    tokens: readable(tokens, root['tokens']),
    sessions: readable(sessions, root['sessions']),
    passwords: readable(passwords, root['passwords']),
    resources: listOf(root['resources']).map((item) => readable(resources.unwrap().element, item)),
    clients: listOf(root['clients']).map(readableClient),
    accounts: listOf(root['accounts']).map((item) => readable(accounts.unwrap().element, item)),
  };
}

function readable<S extends z.ZodType>(schema: S, value: unknown): z.output<S> | undefined {
  return schema.safeParse(value).data;
}

/** A client is checked with those of its settings that can be read, so that one mistype does not hide its other faults. */
function readableClient(item: unknown): ClientConfig | undefined {
  const parsed = clientSchema.safeParse(item);
  if (parsed.success || !isMapping(item)) return parsed.data;
  const faulty = parsed.error.issues.flatMap((issue) =>
    issue.code === 'unrecognized_keys' ? issue.keys : issue.path[0],
  );
  return readable(clientSchema, Object.fromEntries(Object.entries(item).filter(([key]) => !faulty.includes(key))));
}

function listOf(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}
