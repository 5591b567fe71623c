import { readFileSync } from 'node:fs';
import { isMapping } from '../config/schema-reflection.ts';
import type { Command } from './command.ts';

export const version: Command = {
  name: 'version',
  summary: 'print the version',
  options: {},
  async run(_given, terminal) {
    terminal.print(`latchkey ${ownVersion()} (Node.js ${process.versions.node})`);
    return 0;
  },
};

function ownVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  return isMapping(manifest) ? String(manifest['version']) : 'unknown';
}
