import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { CHECKS } from '../../src/grants/jwt-bearer/checks.ts';

const PAGE = readFileSync(new URL('../../docs/trusted-issuers.md', import.meta.url), 'utf8');

describe('The page about trusted issuers', () => {
  it('docs/trusted-issuers.md lists every check in order, with the text that an operator sees', () => {
    const [, table = ''] = PAGE.split('| reason ');
    const rows = [...table.matchAll(/^\| `(\w+)` +\| (.+?) +\|$/gm)].map(([, reason, says]) => ({ reason, says }));
    assert.deepEqual(
      rows,
      CHECKS.map(({ reason, says }) => ({ reason, says })),
    );
  });
});
