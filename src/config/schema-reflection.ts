import { z } from 'zod';
import type { Path } from './problems.ts';

export function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Returns the schema without its optional and default wrappers. */
export function required(schema: unknown): unknown {
  const optional = schema instanceof z.ZodOptional || schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault;
  return optional ? required(schema.unwrap()) : schema;
}

/** Returns the schema of the value under `step`. */
export function schemaUnder(schema: unknown, step: string | number): unknown {
  const outer = required(schema);
  if (outer instanceof z.ZodObject && Object.hasOwn(outer.shape, step)) return outer.shape[step];
  if (outer instanceof z.ZodArray) return outer.element;
  if (outer instanceof z.ZodRecord) return outer.valueType;
  return undefined;
}

/** Lists the keys that a mapping at `path` may have. */
export function keysAt(schema: unknown, path: Path): string[] {
  const found = required(path.reduce<unknown>(schemaUnder, schema));
  return found instanceof z.ZodObject ? Object.keys(found.shape) : [];
}
