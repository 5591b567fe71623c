import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Block {
  language: string;
  text: string;
  /** The file that its first line names. */
  file?: string;
}

const FENCE = /^```(\w+)\n([^]*?)^```$/gm;
const NAMED = /^(?:#|\/\/|<!--) ([\w.-]+\.[a-z]+)(?: -->)?$/m;

/** The code blocks under a heading of the README, in their order. */
export function blocksOf(heading: string): Block[] {
  const readme = readFileSync(join(import.meta.dirname, '../../README.md'), 'utf8');
  const section = readme.split(/^## /m).find((part) => part.startsWith(`${heading}\n`));
  assert.ok(section !== undefined, `the README has no "${heading}"`);
  return [...section.matchAll(FENCE)].map(([, language = '', text = '']) => {
    const file = NAMED.exec(text.split('\n', 1)[0] ?? '')?.[1];
    return { language, text, ...(file !== undefined && { file }) };
  });
}
