import type { AuthorizationDetail } from 'oidc-provider';
import type { DetailField, DetailType } from '../config/sections/detail-schema.ts';
import type { PageData } from '../http/pages.ts';
import { showHiddenCharacters } from '../lib/hidden-characters.ts';

type Detail = NonNullable<PageData['consent']['details']>[number];
type Fact = Detail['facts'][number];

/** Describes requested authorization details (RFC 9396) completely, so that the person knows all that they allow. */
export function detailsInWords(details: readonly AuthorizationDetail[], types: readonly DetailType[]): Detail[] {
  return details.map(({ type: name, ...members }) => {
    const type = types.find((one) => one.type === name);
    return { description: type?.description ?? name, facts: factsOf(members, type?.fields ?? {}) };
  });
}

function factsOf(members: Record<string, unknown>, fields: Readonly<Record<string, DetailField>>): Fact[] {
  return Object.entries(members).flatMap(([name, value]) => {
    const field = fields[name];
    const label = field?.label ?? name;
    if (typeof value !== 'object' || value === null) return [{ label, value: text(value) }];
    if (Array.isArray(value)) return [{ label, value: value.map(text).join(', ') }];
    return factsOf(value as Record<string, unknown>, field?.fields ?? {}).map((fact) => ({
      ...fact,
      label: `${label}: ${fact.label}`,
    }));
  });
}

function text(value: unknown): string {
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  return showHiddenCharacters(typeof value === 'string' ? value : JSON.stringify(value));
}
