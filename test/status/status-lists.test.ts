import assert from 'node:assert/strict';
import { gunzipSync } from 'node:zlib';
import { bitsOf } from '../../src/status/bit-store.ts';
import { listUris } from '../../src/status/lists.ts';
import { tokensOfClient, tokensOfGrant } from '../../src/status/token-indexes.ts';
import { decodeJwt } from 'jose';
import { serverStores } from '../oidc/server-stores.ts';
import { tokensFor } from '../support/flows.ts';
import { until } from '../support/until.ts';
import { requestOf, sendRaw, type RawAnswer } from '../support/raw-http.ts';
import { fetchList, isRevoked, placeOf } from './published-lists.ts';
import { startTwoNodes, type TwoNodes } from './two-nodes.ts';

for (const backend of serverStores) {
  describe(`The status lists of two nodes on ${backend.name}`, function () {
    this.timeout(60_000);
    let two: TwoNodes;
    before(async () => {
      two = await startTwoNodes(backend);
    });
    after(() => two.stop());

    it('A status list is signed, and says how long it is valid', async () => {
      const { uri } = placeOf(await two.machineToken());
      const { response, claims, typ, alg, bits } = await fetchList(uri);
      assert.deepEqual([typ, alg, claims.sub, claims['ttl']], ['statuslist+jwt', 'ES256', uri, 9]);
      assert.ok(Number(claims.exp) - Number(claims.iat) >= 60);
      assert.equal(bits.length, 131_072, 'every place that a token can have is in it');
      assert.equal(response.headers.get('content-type'), 'application/statuslist+jwt');
      assert.equal(response.headers.get('access-control-allow-origin'), '*');
      assert.match(response.headers.get('cache-control') ?? '', /no-cache|no-store/);
    });

    it('The server sends a list again only if it has changed', async () => {
      const { uri } = placeOf(await two.machineToken());
      const etag = (await fetch(uri)).headers.get('etag') ?? '';
      const again = await fetch(uri, { headers: { 'if-none-match': etag } });
      assert.deepEqual([again.status, await again.text(), again.headers.get('etag')], [304, '', etag]);
      const head = await fetch(uri, { method: 'HEAD' });
      assert.deepEqual([head.status, head.headers.get('etag')], [200, etag]);
      assert.equal((await fetch(uri, { headers: { 'if-none-match': '"another"' } })).status, 200);
    });

    it('The server compresses a list for clients that accept gzip, with an ETag of its own (§8.2)', async () => {
      const { pathname, host, port } = new URL(placeOf(await two.machineToken()).uri);
      const ask = (...headers: string[]): Promise<RawAnswer> =>
        sendRaw(Number(port), requestOf(`GET ${pathname} HTTP/1.1`, [`Host: ${host}`, ...headers]));
      const [plain, coded] = [await ask(), await ask('Accept-Encoding: gzip, br')];
      const codings = [plain, coded].map(({ headers }) => headers.get('content-encoding'));
      assert.deepEqual(codings, [undefined, 'gzip']);
      assert.equal(gunzipSync(Buffer.from(coded.body, 'latin1')).toString(), plain.body);
      assert.ok(coded.body.length < plain.body.length, `${coded.body.length} of ${plain.body.length} bytes`);
      for (const { headers } of [plain, coded]) assert.match(headers.get('vary') ?? '', /accept-encoding/i);
      const etag = coded.headers.get('etag') ?? '';
      assert.notEqual(etag, plain.headers.get('etag'));
      assert.equal((await ask('Accept-Encoding: gzip', `If-None-Match: ${etag}`)).status, 304);
      assert.equal((await ask('Accept-Encoding: gzip;q=0')).headers.get('content-encoding'), undefined);
    });

    it('Both nodes show the revocation of a client’s tokens, and no other', async () => {
      const machine = placeOf(await two.machineToken());
      const person = placeOf(
        (await tokensFor(two.issuer, { parameters: { scope: 'openid notes:read' } }))['access_token'],
      );
      for (const origin of two.origins) assert.equal(await isRevoked(machine, origin), false);
      assert.ok((await two.revoker.revokeMembers([tokensOfClient('demo-service')])) >= 1);
      for (const origin of two.origins) await until(() => isRevoked(machine, origin));
      for (const origin of two.origins) assert.equal(await isRevoked(person, origin), false);
      assert.equal(await two.revoker.isRevoked(machine), true);
      assert.equal(await two.revoker.isRevoked(person), false);
      assert.equal(await two.revoker.revokeMembers([tokensOfClient('demo-service')]), 0, 'nothing is left to revoke');
    });

    it('Both nodes soon show a repeated revocation if the first caller died before its notice', async () => {
      const place = placeOf(await two.machineToken());
      const list = listUris(two.issuer).listOf(place) ?? assert.fail();
      for (const origin of two.origins) assert.equal(await isRevoked(place, origin), false);
      // The store counts the bits of a byte from the highest.
      await two.grants.setBits(bitsOf(list.list.id), [place.idx ^ 7], 3600);
      await two.revoker.revokeToken(place);
      for (const origin of two.origins) await until(() => isRevoked(place, origin), 15_000);
    });

    it('Both nodes show the revocation of a grant and that of a single token', async () => {
      const tokens = await tokensFor(two.issuer, { parameters: { scope: 'openid notes:read' } });
      const { grant_id } = decodeJwt(tokens['access_token'] ?? '');
      const [person, machine] = [placeOf(tokens['access_token']), placeOf(await two.machineToken())];
      await two.revoker.revokeMembers([tokensOfGrant(String(grant_id))]);
      await two.revoker.revokeToken(machine);
      for (const origin of two.origins)
        for (const place of [person, machine]) await until(() => isRevoked(place, origin));
    });

    it('A revocation with an instant spares tokens that were issued later', async () => {
      const early = placeOf(await two.machineToken());
      const instant = Date.now() + 1;
      await until(() => Date.now() > instant);
      const late = placeOf(await two.machineToken());
      await two.revoker.revokeMembers([tokensOfClient('demo-service')], { startedBefore: instant });
      assert.deepEqual(await Promise.all([early, late].map((place) => two.revoker.isRevoked(place))), [true, false]);
    });

    it('The metadata names the endpoint that lists all status lists', async () => {
      const { uri } = placeOf(await two.machineToken());
      const metadata = (await (await fetch(`${two.issuer}/.well-known/openid-configuration`)).json()) as Record<
        string,
        string
      >;
      const response = await fetch(metadata['status_list_aggregation_endpoint'] ?? '');
      assert.match(response.headers.get('content-type') ?? '', /^application\/json/);
      const { status_lists: uris } = (await response.json()) as { status_lists: string[] };
      assert.ok(uris.includes(uri));
      for (const each of uris) await fetchList(each);
    });

    it('The server answers 404 for an unknown list, and counts a malformed status as revoked', async () => {
      const { issuer } = two;
      const names = [
        'x',
        '0',
        'zzzzzz-AAAAAAAA',
        '100000-AAAAAAAA',
        '..%2fjwks',
        '%00',
        'a'.repeat(5000),
        'issued:x.1.1',
      ];
      for (const name of names) {
        const response = await fetch(`${issuer}/status/${name}`);
        assert.equal(response.status, 404, name);
        assert.equal(((await response.json()) as { error: string }).error, 'invalid_request');
      }
      const { uri, idx } = placeOf(await two.machineToken());
      const odd = [
        { uri, idx: -1 },
        { uri, idx: 0.5 },
        { uri, idx: 2 ** 31 },
        { uri: `${uri}/`, idx },
        { uri: 'x', idx },
      ];
      for (const place of odd) {
        assert.equal(await two.revoker.isRevoked(place), true, JSON.stringify(place));
        await two.revoker.revokeToken(place);
      }
      assert.equal(await two.revoker.isRevoked({ uri, idx }), false);
    });

    it('Nobody can change a list over HTTP or request it for another time', async () => {
      const { uri } = placeOf(await two.machineToken());
      for (const method of ['POST', 'PUT', 'DELETE']) assert.equal((await fetch(uri, { method })).status, 405, method);
      assert.equal((await fetch(`${uri}?time=1686925000`)).status, 501);
      const preflight = await fetch(uri, { method: 'OPTIONS', headers: { origin: 'https://api.example' } });
      assert.deepEqual([preflight.status, preflight.headers.get('access-control-allow-origin')], [204, '*']);
    });
  });
}
