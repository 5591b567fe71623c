/** Shortens a stranger's text for a page or a log line, and removes control, invisible and direction characters. */
export function printable(text: string, longest = 100): string {
  const plain = text.replaceAll(/[\p{C}\p{Zl}\p{Zp}]/gu, '\uFFFD');
  const characters = [...plain.slice(0, 2 * longest)];
  return characters.length > longest ? `${characters.slice(0, longest).join('')}…` : plain;
}
