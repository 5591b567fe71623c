import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';

/** Begins of a path in this repository. */
const PATH = /`((?:src|test|views|docs|packaging)\/[\w./-]*|[\w.-]+\.(?:js|json|md))`/g;

describe('CONTRIBUTING.md', () => {
  const text = readFileSync('CONTRIBUTING.md', 'utf8');

  it('The files and folders that CONTRIBUTING.md names exist', () => {
    const paths = [...text.matchAll(PATH)].map(([, path = '']) => path);
    assert.ok(paths.length > 40, `found only ${paths.length} paths`);
    assert.deepEqual(
      paths.filter((path) => !existsSync(path)),
      [],
    );
  });

  it('The npm scripts that CONTRIBUTING.md names exist', () => {
    const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: Record<string, string> };
    const named = [...text.matchAll(/`npm run ([\w:-]+)/g)].map(([, name = '']) => name);
    assert.ok(named.length > 0);
    assert.deepEqual(
      named.filter((name) => !(name in scripts)),
      [],
    );
  });
});
