/** The probe for a process with a store in a PostgreSQL; apart, since another one never loads the client. */
import { Client } from 'pg';
import { trips } from './probe.ts';

type Query = (this: Client, query: unknown, ...rest: readonly unknown[]) => unknown;

/* eslint-disable @typescript-eslint/unbound-method -- called on its own object below */
const query = Client.prototype.query as Query;
const counted: Query = function (statement, ...rest) {
  const text = typeof statement === 'object' && statement !== null && 'text' in statement ? statement.text : statement;
  trips[/^\s*SELECT/.test(String(text)) ? 'reads' : 'writes'] += 1;
  return query.call(this, statement, ...rest);
};
/* eslint-enable @typescript-eslint/unbound-method */
Object.assign(Client.prototype, { query: counted });
