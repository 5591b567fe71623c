import koffi from 'koffi';

/** A C structure, with the buffers that its pointers refer to. */
export interface Struct {
  bytes: Buffer;
  held: readonly Buffer[];
}

/** One attribute of an object's template (CK_ATTRIBUTE): its type and its value. */
export type Attribute = readonly [type: number, value: Buffer];

/** Allocates a CK_ULONG, which functions receive by pointer as an input or an output. */
export function ulong(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

export function bool(value: boolean): Buffer {
  return Buffer.from([value ? 1 : 0]);
}

/** Builds a structure of CK_ULONGs and pointers. Each takes eight bytes. */
export function struct(...members: readonly (number | Buffer)[]): Struct {
  const bytes = Buffer.alloc(members.length * 8);
  for (const [index, member] of members.entries()) {
    const isPointer = typeof member !== 'number';
    bytes.writeBigUInt64LE(isPointer ? koffi.address(member) : BigInt(member), index * 8);
  }
  return { bytes, held: members.filter((member) => typeof member !== 'number') };
}

/** Builds an array of CK_ATTRIBUTE: `type`, `pValue`, `ulValueLen`. */
export function template(attributes: readonly Attribute[]): Struct {
  return struct(...attributes.flatMap(([type, value]) => [type, value, value.length]));
}

/** Builds a CK_MECHANISM: `mechanism`, `pParameter`, `ulParameterLen`. */
export function mechanism(type: number, parameter?: Struct): Struct {
  if (parameter === undefined) return struct(type, 0, 0);
  const { bytes, held } = parameter;
  const whole = struct(type, bytes, bytes.length);
  return { bytes: whole.bytes, held: [...whole.held, ...held] };
}
