import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { engineOverrides } from '../../src/oidc/engine-overrides.ts';

const text = readFileSync('docs/engine.md', 'utf8');
const section = (title: string): string => text.split(/^## /m).find((part) => part.startsWith(title)) ?? '';

describe('docs/engine.md', () => {
  it('docs/engine.md lists the overrides of the engine’s methods, and no others', () => {
    const lines = [...section('Methods').matchAll(/^\| `([^`]+)` \| `([^`]+)` \| [^|]+ \| [^|]+ \|$/gm)];
    assert.deepEqual(
      lines.map(([, owner, method]) => `${String(owner)} ${String(method)}`).toSorted(),
      engineOverrides.map(({ owner, method }) => `${owner} ${method}`).toSorted(),
    );
  });

  it('docs/engine.md lists the engine’s inner modules that the server imports, and no others', () => {
    const imported = readFileSync('src/oidc/internals.ts', 'utf8').matchAll(/from 'oidc-provider\/lib\/([^']+)'/g);
    const listed = section('Modules').matchAll(/^\| `([^`]+)` \|/gm);
    const names = (found: Iterable<RegExpExecArray>): string[] => [
      ...new Set(Array.from(found, ([, name = '']) => name)),
    ];
    assert.deepEqual(names(listed).toSorted(), names(imported).toSorted());
  });

  it('The tests and files that docs/engine.md names exist', () => {
    const files = [...text.matchAll(/`((?:src|test)\/[\w/.-]+)`/g)].map(([, file = '']) => file);
    assert.ok(files.length > 5);
    assert.deepEqual(
      files.filter((file) => !existsSync(file)),
      [],
    );
  });
});
