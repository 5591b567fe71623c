import assert from 'node:assert/strict';
import { engineOverrides } from '../../src/oidc/engine-overrides.ts';
import { clientProbes } from './engine-probes/clients.ts';
import { requestProbes } from './engine-probes/requests.ts';
import { grantProbes } from './engine-probes/grants.ts';
import { signOutProbes } from './engine-probes/sign-out.ts';
import { tokenProbes } from './engine-probes/tokens.ts';
import type { Probe } from './engine-probes/probe.ts';
import { startProbed, type ProbedServer } from './engine-probes/probed-server.ts';

const probes: readonly Probe[] = [...clientProbes, ...requestProbes, ...grantProbes, ...tokenProbes, ...signOutProbes];

/** The rows by the names that probes have for them. */
const rows = new Map<string, (typeof engineOverrides)[number]>(
  engineOverrides.map((row, at) => {
    const earlier = engineOverrides
      .slice(0, at)
      .filter(({ owner, method }) => owner === row.owner && method === row.method);
    return [`${row.owner} ${row.method}${earlier.length === 0 ? '' : ` #${earlier.length + 1}`}`, row] as const;
  }),
);

describe('The table of engine overrides', () => {
  it('Each row of the override table has a probe', () => {
    assert.deepEqual(probes.map(({ row }) => row).toSorted(), [...rows.keys()].toSorted());
  });

  describe('With all rows', () => {
    let server: ProbedServer;
    before(async () => {
      server = await startProbed();
    });
    after(() => server.close());

    for (const { row, good, ...probe } of probes)
      it(`The server gives its own answer with the override "${row}"`, async () => {
        assert.deepEqual(await probe.observe(server), good);
      });
  });

  for (const { row, bad, ...probe } of probes)
    it(`The engine gives another answer without the override "${row}"`, async () => {
      const server = await startProbed(rows.get(row) ?? assert.fail(`there is no row ${row}`));
      try {
        assert.deepEqual(await probe.observe(server), bad);
      } finally {
        await server.close();
      }
    });
});
