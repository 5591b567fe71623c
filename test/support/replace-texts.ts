/** A copy of some data in which each text is what `replace` makes of it; `key` is the name that it stands under. */
export function replaceTexts<Data>(data: Data, replace: (key: string, text: string) => string): Data {
  const copy = structuredClone(data);
  replaceInside(copy, replace);
  return copy;
}

function replaceInside(value: unknown, replace: (key: string, text: string) => string): void {
  if (typeof value !== 'object' || value === null) return;
  for (const [key, inner] of Object.entries(value)) {
    if (typeof inner === 'string') Reflect.set(value, key, replace(key, inner));
    else replaceInside(inner, replace);
  }
}
