import type { DetailField } from './detail-schema.ts';
import type { Fault, Path } from '../problems.ts';
import type { ClientConfig, Draft } from '../schema.ts';
import { didYouMean } from '../suggest.ts';

/** Checks each type of authorization details (RFC 9396), and the resources that it names. */
export function checkDetailTypes({ authorization_details_types: types, resources }: Draft): Fault[] {
  const registered = resources.map((resource) => resource?.identifier);
  return (types ?? []).flatMap((one, index) => {
    const path: Path = ['authorization_details_types', index];
    const first = types?.findIndex(({ type }) => type === one.type);
    return [
      ...(first === index ? [] : [{ path: [...path, 'type'], message: `is already in the list, at ${first}` }]),
      ...(one.resources ?? []).flatMap((identifier, at) =>
        registered.includes(identifier) || registered.includes(undefined)
          ? []
          : [{ path: [...path, 'resources', at], message: 'is not under resources' }],
      ),
      ...Object.entries(one.fields).flatMap(([name, field]) => fieldFaults(field, [...path, 'fields', name])),
      ...('type' in one.fields ? [{ path: [...path, 'fields', 'type'], message: 'is always present' }] : []),
    ];
  });
}

/** Requires that the configuration defines the types of a client's authorization details (RFC 9396 §10). */
export function clientDetailTypesExist(
  { authorization_details_types: used = [] }: ClientConfig,
  { authorization_details_types: types }: Pick<Draft, 'authorization_details_types'>,
): Fault[] {
  if (types === undefined) return [];
  const known = types.map(({ type }) => type);
  return used.flatMap((type, index) =>
    known.includes(type)
      ? []
      : [
          {
            path: ['authorization_details_types', index],
            message: `is not under authorization_details_types${didYouMean(type, known)}`,
          },
        ],
  );
}

function fieldFaults(field: DetailField, path: Path): Fault[] {
  const isText = field.type === 'string' || field.type === 'strings';
  return [
    ...(field.values !== undefined && !isText
      ? [{ path: [...path, 'values'], message: 'are only for the types string and strings' }]
      : []),
    ...((field.fields === undefined) === (field.type === 'object')
      ? [{ path: [...path, 'fields'], message: 'are required for the type object, and allowed only there' }]
      : []),
    ...Object.entries(field.fields ?? {}).flatMap(([name, inner]) => fieldFaults(inner, [...path, 'fields', name])),
  ];
}
