import { z } from 'zod';
import { scopeName } from '../values.ts';

/** A member of an authorization detail (RFC 9396 §2), and its label on the consent page. */
export interface DetailField {
  type: 'string' | 'number' | 'boolean' | 'strings' | 'object';
  label: string;
  required: boolean;
  /** The allowed texts; any text if absent. */
  values?: readonly string[] | undefined;
  /** The members of an object. */
  fields?: Readonly<Record<string, DetailField>> | undefined;
}

const fieldName = z.string().regex(/^[A-Za-z][\w-]{0,63}$/, 'must be letters, digits, _ and -');

const field: z.ZodType<DetailField> = z.lazy(() =>
  z.strictObject({
    type: z.enum(['string', 'number', 'boolean', 'strings', 'object']).default('string'),
    label: z.string().min(1),
    required: z.boolean().default(false),
    values: z.array(z.string()).min(1).optional(),
    fields: z.record(fieldName, field).optional(),
  }),
);

/** A type of authorization details that clients may ask for (RFC 9396 §2.1). */
export const detailType = z.strictObject({
  type: scopeName,
  /** The description for the person on the consent page. */
  description: z.string().min(1),
  fields: z.record(fieldName, field).default({}),
  /** The APIs that see the details; all APIs if omitted. */
  resources: z.array(z.string()).optional(),
});

export type DetailType = z.output<typeof detailType>;
