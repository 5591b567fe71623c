import assert from 'node:assert/strict';
import type { DetailType } from '../../src/config/sections/detail-schema.ts';
import type { Config } from '../../src/config/schema.ts';
import { Browser } from '../support/browser.ts';
import {
  ALICE,
  authorizationRequest,
  refresh,
  signIn,
  tokenRequest,
  type AuthorizationRequest,
} from '../support/flows.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { apiOf, verified } from '../support/tokens.ts';

const text = (label: string) => ({ type: 'string', label, required: true }) as const;

const PAYMENT: DetailType = {
  type: 'payment',
  description: 'Make a payment',
  fields: {
    actions: { type: 'strings', label: 'What may be done', required: true, values: ['initiate', 'status'] },
    amount: {
      type: 'object',
      label: 'Amount',
      required: true,
      fields: { currency: text('Currency'), value: { type: 'number', label: 'Value', required: true } },
    },
    to: text('To'),
    urgent: { type: 'boolean', label: 'Urgent', required: false },
    locations: { type: 'strings', label: 'Where', required: false },
  },
};

const payment = (changes: Record<string, unknown> = {}) => ({
  type: 'payment',
  actions: ['initiate'],
  amount: { currency: 'EUR', value: 12.5 },
  to: 'Merchant <b>A</b>',
  ...changes,
});

describe('Rich authorization requests (RFC 9396)', () => {
  let server: TestServer;
  let alice: Browser;
  let api: string;
  before(async () => {
    server = await startTestServer({ change: withPayments });
    api = apiOf(server.issuer);
    alice = new Browser();
    await signIn(alice, authorizationRequest(server.issuer));
  });
  after(() => server.close());

  function withPayments(config: Config): Config {
    const [first] = config.resources;
    if (first === undefined) throw new Error('the demo has no API');
    const other = { ...first, identifier: 'https://other.example', scopes: {} };
    const own: Record<string, string[]> = {
      'demo-notes': ['payment', 'elsewhere'],
      'demo-service': ['payment'],
      'demo-web': ['payment'],
    };
    return {
      ...config,
      resources: [...config.resources, other],
      authorization_details_types: [
        PAYMENT,
        { type: 'elsewhere', description: 'Something at another API', fields: {}, resources: [other.identifier] },
      ],
      clients: config.clients.map((client) => ({
        ...client,
        resources: [...client.resources, other.identifier],
        authorization_details_types: own[client.client_id] ?? [],
      })),
    };
  }

  function ask(details: unknown, parameters: Record<string, string> = {}, clientId = 'demo-notes') {
    const asked = typeof details === 'string' ? details : JSON.stringify(details);
    return authorizationRequest(server.issuer, clientId, {
      scope: 'openid notes:read offline_access',
      prompt: 'consent',
      resource: api,
      authorization_details: asked,
      ...parameters,
    });
  }

  async function granted(request: AuthorizationRequest, parameters: Record<string, string> = {}) {
    const callback = await signIn(alice, request);
    const code = callback.searchParams.get('code') ?? '';
    return tokenRequest(server.issuer, {
      grant_type: 'authorization_code',
      client_id: request.clientId,
      redirect_uri: request.redirectUri,
      code_verifier: request.verifier,
      code,
      ...parameters,
    });
  }

  async function refusal(request: AuthorizationRequest): Promise<string | null> {
    const page = await alice.visit(request.url, {}, request.redirectUri);
    assert.equal(new URL(page.url).searchParams.get('code'), null, page.url);
    return new URL(page.url).searchParams.get('error');
  }

  it('The consent page describes authorization details as plain text at each request, even for a first-party app', async () => {
    for (const to of ['Merchant <b>A</b>', 'Merchant <b>B</b>']) {
      const page = await alice.visit(ask([payment({ to, urgent: true })], { prompt: '' }).url);
      const facts = [...page.html.matchAll(/<dt>(.*?)<\/dt><dd><bdi>(.*?)<\/bdi>/g)].map(([, name, value]) => [
        name,
        value,
      ]);
      assert.match(page.html, /<h3>Make a payment<\/h3>/);
      assert.deepEqual(facts, [
        ['What may be done', 'initiate'],
        ['Amount: Currency', 'EUR'],
        ['Amount: Value', '12.5'],
        ['To', to.replaceAll('<', '&lt;').replaceAll('>', '&gt;')],
        ['Urgent', 'yes'],
      ]);
      const request = ask([payment({ to })], { prompt: '' });
      assert.ok((await signIn(alice, request, ALICE)).searchParams.has('code'));
    }
  });

  it('The server refuses authorization details with prompt=none', async () => {
    assert.equal(await refusal(ask([payment()], { prompt: 'none', scope: 'openid notes:read' })), 'consent_required');
  });

  it('The authorization details appear in the token response, the access token and each refresh', async () => {
    const request = ask([payment()]);
    const { status, body } = await granted(request);
    assert.equal(status, 200, JSON.stringify(body));
    assert.deepEqual(body['authorization_details'], [payment()]);
    const { claims } = await verified(server.issuer, String(body['access_token']), api);
    assert.deepEqual(claims['authorization_details'], [payment()]);
    const again = await refresh(server.issuer, String(body['refresh_token']));
    assert.deepEqual(again.body['authorization_details'], [payment()]);
  });

  it('The authorization details appear in the introspection response', async () => {
    const { body } = await granted(ask([payment()]));
    const response = await fetch(`${server.issuer}/introspect`, {
      method: 'POST',
      headers: { authorization: `Basic ${btoa('demo-web:demo-web-secret')}` },
      body: new URLSearchParams({ token: String(body['refresh_token']), token_type_hint: 'refresh_token' }),
    });
    const said = (await response.json()) as Record<string, unknown>;
    assert.deepEqual([said['active'], said['authorization_details']], [true, [payment()]]);
  });

  it('A token request can narrow the authorization details, and the next refresh has all of them again', async () => {
    const small = payment({ amount: { currency: 'EUR', value: 1 } });
    const { body } = await granted(ask([payment(), small]), {
      authorization_details: JSON.stringify([small]),
      resource: api,
    });
    assert.deepEqual(body['authorization_details'], [small]);
    const again = await refresh(server.issuer, String(body['refresh_token']));
    assert.deepEqual(again.body['authorization_details'], [payment(), small]);
  });

  it('The token endpoint refuses more authorization details than were granted, for codes and for refreshes', async () => {
    const more = JSON.stringify([payment({ amount: { currency: 'EUR', value: 1250 } })]);
    const widened = { authorization_details: more, resource: api };
    const exchanged = await granted(ask([payment()]), widened);
    assert.deepEqual([exchanged.status, exchanged.body['error']], [400, 'invalid_authorization_details']);
    const { body } = await granted(ask([payment()]));
    const refreshed = await refresh(server.issuer, String(body['refresh_token']), widened);
    assert.deepEqual([refreshed.status, refreshed.body['error']], [400, 'invalid_authorization_details']);
    const { body: plain } = await granted(ask('', { authorization_details: '' }));
    const added = await refresh(server.issuer, String(plain['refresh_token']), widened);
    assert.equal(added.body['error'], 'invalid_authorization_details');
  });

  it('A refresh token is repeated only for the same authorization details', async () => {
    const small = payment({ amount: { currency: 'EUR', value: 1 } });
    const { body } = await granted(ask([payment(), small]));
    const again = (details?: unknown) =>
      refresh(server.issuer, String(body['refresh_token']), {
        resource: api,
        ...(details !== undefined && { authorization_details: JSON.stringify(details) }),
      });
    const first = await again([small]);
    assert.deepEqual([first.status, first.body['authorization_details']], [200, [small]]);
    for (const details of [[payment()], [payment(), small], undefined]) {
      const other = await again(details);
      assert.deepEqual([other.status, other.body['error']], [400, 'invalid_grant']);
    }
    assert.deepEqual((await again([small])).body, first.body);
  });

  it('The granted authorization details do not reappear in a later request', async () => {
    await granted(ask([payment()]));
    const { body } = await granted(ask('', { authorization_details: '' }));
    assert.equal(body['authorization_details'], undefined);
  });

  it('The server refuses authorization details that do not match their type', async () => {
    const attempts: Record<string, unknown> = {
      'no JSON': '[{',
      'no list': payment(),
      'no type': [{ actions: ['initiate'] }],
      'a type that is not registered': [{ type: 'root' }],
      'a type of the language': [{ type: 'constructor' }],
      'a member that is not described': [payment({ fee: 1 })],
      'a member of the language':
        '[{"type":"payment","actions":["initiate"],"to":"x","amount":{"currency":"EUR","value":1},"__proto__":{}}]',
      'a member missing': [payment({ to: undefined })],
      'a value that is none of its values': [payment({ actions: ['initiate', 'cancel'] })],
      'a text for a number': [payment({ amount: { currency: 'EUR', value: '12.5' } })],
      'a list for an object': [payment({ amount: [] })],
      'an object for a text': [payment({ to: { name: 'x' } })],
      'a text that nobody reads to its end': [payment({ to: 'x'.repeat(201) })],
      'more than anybody reads': Array.from({ length: 11 }, () => payment()),
    };
    for (const [what, details] of Object.entries(attempts))
      assert.equal(await refusal(ask(details)), 'invalid_authorization_details', what);
  });

  it('The server refuses authorization details with invisible or direction-changing characters', async () => {
    const hidden = [
      '\u202E',
      '\u2066',
      '\u200F',
      '\u200B',
      '\u2060',
      '\u00AD',
      '\u3164',
      '\u2800',
      '\u{E0041}',
      '\uFE0F',
    ];
    for (const character of [...hidden, '\u034F', '\u0085', '\n', '\u2028', '\uE000', '\u0000'])
      for (const to of [`ACME ${character}`, `${character}ACME`])
        assert.equal(await refusal(ask([payment({ to })])), 'invalid_authorization_details', JSON.stringify(character));
    const page = await alice.visit(
      ask([payment({ to: 'مؤسسة עמותה 株式会社 Ærø é 1 – ½' })], { prompt: 'consent' }).url,
    );
    assert.equal(page.status, 200);
  });

  it('The server refuses authorization details of a type that the client is not registered for', async () => {
    assert.equal(await refusal(ask([payment()], {}, 'demo-photos')), 'invalid_authorization_details');
  });

  it('An API receives only the authorization details that are for it', async () => {
    const { body } = await granted(
      ask([payment(), payment({ locations: ['https://other.example'] }), { type: 'elsewhere' }]),
    );
    assert.deepEqual(body['authorization_details'], [payment()]);
  });

  it('The authorization details require an API, either named or by default', async () => {
    const unnamed = { resource: '', scope: 'openid' };
    assert.equal(await refusal(ask([payment()], unnamed, 'demo-web')), 'invalid_target');
    const { body } = await granted(ask([payment()], unnamed));
    const { claims } = await verified(server.issuer, String(body['access_token']), api);
    assert.deepEqual(claims['authorization_details'], [payment()]);
  });

  it('A machine receives only authorization details of the types that it is registered for', async () => {
    const own = { grant_type: 'client_credentials', resource: api, authorization_details: JSON.stringify([payment()]) };
    const service = await tokenRequest(server.issuer, own, 'demo-service:demo-service-secret');
    assert.deepEqual([service.status, service.body['authorization_details']], [200, [payment()]]);
    const unknown = { ...own, authorization_details: JSON.stringify([{ type: 'elsewhere' }]) };
    const refused = await tokenRequest(server.issuer, unknown, 'demo-service:demo-service-secret');
    assert.equal(refused.body['error'], 'invalid_authorization_details');
  });

  it('The metadata lists the supported types of authorization details', async () => {
    const response = await fetch(`${server.issuer}/.well-known/oauth-authorization-server`);
    const metadata = (await response.json()) as Record<string, unknown>;
    assert.deepEqual(metadata['authorization_details_types_supported'], ['payment', 'elsewhere']);
  });
});
