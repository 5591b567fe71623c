import { DatabaseError } from 'pg';
import { StoreUnavailable } from '../store.ts';

/** Longest time in milliseconds for a connection, and for the answer of a statement. */
export const PATIENCE = 2000;

/** Thrown if a server must not be used: a replica, or a primary that was replaced. */
export class NoPrimary extends StoreUnavailable {}

/**
 * Codes of PostgreSQL (appendix A of its manual) that mean "unavailable now", by class or in full. They cover
 * connections, resources (a full disk), operator intervention, system faults and corruption; a refused sign-in, a
 * missing database or privilege; a read-only server; a conflict or lock after which nothing was written; and a prepared
 * statement that a pooler dropped.
 */
const OUTAGES = /^(08|53|57|58|XX|28|3D|42501|25006|40|55P03|26000|F0)/;

/**
 * Converts an error of a statement into an error of the port. A statement is never sent twice, because it may have run
 * although its answer was lost.
 */
export function portError(error: unknown): unknown {
  if (error instanceof StoreUnavailable) return error;
  if (!(error instanceof Error)) return error;
  const isOutage = error instanceof DatabaseError ? OUTAGES.test(error.code ?? '') : !(error instanceof TypeError);
  const bare = withoutValues(error);
  return isOutage ? new StoreUnavailable(`PostgreSQL: ${bare.message}`, { cause: bare }) : bare;
}

/**
 * Removes the details that the server and the client attach to an error. They contain secret values, and the error may
 * be logged.
 */
function withoutValues(error: Error): Error {
  for (const name of ['detail', 'where', 'internalQuery', 'client', 'hint']) Reflect.deleteProperty(error, name);
  return error;
}

const UNREACHABLE = /ECONN|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|UNREACH|timeout|no answer|terminated unexpectedly/;

const REFUSED_USER = /password|SASL|pg_hba\.conf|^28|role .* (does not exist|is not permitted)|no such user/;

/** Remedies for failed connections. */
const FIXES: [failure: RegExp, fix: string][] = [
  [REFUSED_USER, "Correct the user and password in STORE_URL, or the server's pg_hba.conf"],
  [
    /3D000|no such database/,
    "Correct its name in STORE_URL, or run CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0",
  ],
  [/not support SSL/, 'Set ssl = on in postgresql.conf, or write sslmode=disable where the network is trusted'],
  [
    /CERT|certificate|altname/i,
    'Name the file of its certificate authority by sslrootcert=/PATH, and use a host name that its certificate contains',
  ],
  [/is a replica|is read-only|was replaced/, 'Name every server of the cluster in STORE_URL, and promote one'],
  [UNREACHABLE, 'Start it, or correct the host and port in STORE_URL'],
];

/** Describes why the connection failed, and how to fix it. A server that answered has a `refusal`. */
export function describeFailure(error: unknown): { reason: string; fix: string; refusal?: string } {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  const message = error instanceof Error ? error.message : '';
  const reason = message === '' ? code || 'no answer' : message;
  const fix = FIXES.find(([failure]) => failure.test(`${code} ${reason}`))?.[1];
  const described = { reason: reason.replace(/\.$/, ''), fix: fix ?? '' };
  if (UNREACHABLE.test(`${code} ${reason}`)) return described;
  const isUser = REFUSED_USER.test(`${code} ${reason}`);
  return { ...described, refusal: isUser ? 'refuses the user or password' : 'cannot be used' };
}

/** Tells whether the failure may soon pass: the server is starting, or another one is taking its place. */
export function isTransient(error: unknown): boolean {
  if (error instanceof DatabaseError) return error.code === '57P03';
  return error instanceof NoPrimary || (error instanceof Error && 'code' in error && error.code === 'ECONNREFUSED');
}
