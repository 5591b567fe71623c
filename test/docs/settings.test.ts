import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { demoConfig } from '../../src/config/demo.ts';
import { configSchema } from '../../src/config/schema.ts';
import { required } from '../../src/config/schema-reflection.ts';

const TEXT = readFileSync('docs/configuration.md', 'utf8');

/** The rows of the table of settings: the section, with `[]` for a list, and the settings that its second cell names. */
function rows(): Map<string, string[]> {
  const table = TEXT.split(/^## /m)
    .find((part) => part.startsWith('Settings\n'))
    ?.split(/^### /m)[0];
  const found = [...(table ?? '').matchAll(/^\| `([^`]+)` \|(.*?)\|/gm)];
  const names = (cell: string): string[] => [...cell.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name);
  return new Map(found.map(([, section = '', cell = '']) => [section, cell.includes('see [') ? [] : names(cell)]));
}

/** The settings right below a section. */
function settingsOf(schema: unknown): string[] {
  const inner = required(schema);
  if (inner instanceof z.ZodArray) return settingsOf(inner.element);
  return inner instanceof z.ZodObject ? Object.keys(inner.shape) : [];
}

describe('The table of settings', () => {
  const table = rows();
  const sections = Object.entries(configSchema.shape).map(([name, schema]): [string, unknown] => {
    const isListOfMappings = required(schema) instanceof z.ZodArray && settingsOf(schema).length > 0;
    return [isListOfMappings ? `${name}[]` : name, schema];
  });

  it('The table of settings has a row for each section of the configuration, and for no other', () => {
    assert.deepEqual([...table.keys()].sort(), sections.map(([name]) => name).sort());
  });

  for (const [name, schema] of sections) {
    const stated = new Set((table.get(name) ?? []).map((setting) => setting.split('.')[0]));
    if (stated.size === 0) continue;
    it(`The table of settings lists the settings of ${name}, and no others`, () => {
      assert.deepEqual([...stated].sort(), settingsOf(schema).sort());
    });
  }
});

describe('The README', () => {
  it('The README names the ports of the demo’s apps', () => {
    const readme = readFileSync('README.md', 'utf8');
    const apps = demoConfig().clients.filter(({ type }) => type === 'spa');
    for (const { post_logout_redirect_uris: uris } of apps) {
      const address = (uris[0] ?? '').replace(/\/$/, '');
      assert.ok(readme.includes(`**${address}**`), address);
    }
  });
});
