import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { UnauthorizedError, type OAuthClientProvider } from '@modelcontextprotocol/sdk/client/auth.js';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type {
  OAuthClientInformationMixed,
  OAuthClientMetadata,
  OAuthTokens,
} from '@modelcontextprotocol/sdk/shared/auth.js';
import { Browser } from '../support/browser.ts';
import { signIn } from '../support/flows.ts';
import { freePort } from '../support/free-port.ts';
import { selfSignedCertificate } from '../support/certificate.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { mcpServer } from './mcp-server.ts';
import { startWebApp, type WebApp } from './web-app.ts';

const CALLBACK = 'http://127.0.0.1:33418/callback';
const METADATA: OAuthClientMetadata = {
  client_name: 'An assistant',
  redirect_uris: [CALLBACK],
  grant_types: ['authorization_code', 'refresh_token'],
  response_types: ['code'],
  token_endpoint_auth_method: 'none',
};

/** Keeps what the SDK hands it, as an app would. */
class Keeper implements OAuthClientProvider {
  readonly redirectUrl = CALLBACK;
  readonly clientMetadata = METADATA;
  readonly clientMetadataUrl?: string;
  sentTo: URL | undefined;
  #information: OAuthClientInformationMixed | undefined;
  #tokens: OAuthTokens | undefined;
  #verifier = '';

  constructor(clientMetadataUrl?: string) {
    if (clientMetadataUrl !== undefined) this.clientMetadataUrl = clientMetadataUrl;
  }
  clientInformation(): OAuthClientInformationMixed | undefined {
    return this.#information;
  }
  saveClientInformation(information: OAuthClientInformationMixed): void {
    this.#information = information;
  }
  tokens(): OAuthTokens | undefined {
    return this.#tokens;
  }
  saveTokens(tokens: OAuthTokens): void {
    this.#tokens = tokens;
  }
  redirectToAuthorization(url: URL): void {
    this.sentTo = url;
  }
  saveCodeVerifier(verifier: string): void {
    this.#verifier = verifier;
  }
  codeVerifier(): string {
    return this.#verifier;
  }
  /** As if the access token had been forgotten. */
  loseAccessToken(): void {
    if (this.#tokens !== undefined) this.#tokens = { ...this.#tokens, access_token: 'gone' };
  }
}

describe('The MCP SDK', function () {
  this.timeout(60_000);
  let server: TestServer;
  let site: WebApp;
  let place: URL;
  let documentUrl: string;
  const certificate = selfSignedCertificate();
  const authorities = getCACertificates();
  const documents = createServer(certificate, (_request, response) => {
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ ...METADATA, client_id: documentUrl }));
  });

  before(async () => {
    setDefaultCACertificates([...authorities, certificate.cert]);
    await once(documents.listen(0, '127.0.0.1'), 'listening');
    documentUrl = `https://localhost:${(documents.address() as AddressInfo).port}/assistant.json`;
    place = new URL(`http://localhost:${await freePort()}/mcp`);
    const allowed = { scopes: ['openid', 'offline_access', 'mcp:tools'], resources: [place.href] };
    server = await startTestServer({
      change: (config) => ({
        ...config,
        profile: 'mcp',
        outgoing: { allow: ['localhost'] },
        resources: [
          ...config.resources,
          {
            identifier: place.href,
            name: 'Tools',
            scopes: { 'mcp:tools': { description: 'Use tools' } },
            signing_alg: 'ES256',
          },
        ],
        registration: { ...config.registration, ...allowed, enabled: true, initial_access_token: 'none' },
        client_id_metadata_documents: {
          ...config.client_id_metadata_documents,
          ...allowed,
          enabled: true,
          allow: ['localhost'],
        },
      }),
    });
    site = await startWebApp(Number(place.port), await mcpServer(server.issuer, place));
  });
  after(async () => {
    setDefaultCACertificates(authorities);
    await site.close();
    await server.close();
    documents.closeAllConnections();
    documents.close();
  });

  async function connect(keeper: Keeper): Promise<Client> {
    const client = new Client({ name: 'assistant', version: '1.0.0' });
    await client.connect(new StreamableHTTPClientTransport(place, { authProvider: keeper }));
    return client;
  }

  async function whoCalls(client: Client): Promise<Record<string, string>> {
    const { content } = await client.callTool({ name: 'who' });
    const [first] = content as { text: string }[];
    return JSON.parse(first?.text ?? '{}') as Record<string, string>;
  }

  /** From a refusal to a refresh: the SDK finds the server, is known to it, has the person asked, and goes on by itself. */
  async function wholeStory(keeper: Keeper): Promise<string> {
    const transport = new StreamableHTTPClientTransport(place, { authProvider: keeper });
    const first = new Client({ name: 'assistant', version: '1.0.0' });
    await assert.rejects(first.connect(transport), UnauthorizedError);
    const url = keeper.sentTo?.href ?? '';
    const request = { url, redirectUri: CALLBACK, verifier: '', clientId: '' };
    const callback = await signIn(new Browser(), request);
    await transport.finishAuth(callback.searchParams.get('code') ?? '');

    const client = await connect(keeper);
    const { client: clientId = '', sub } = await whoCalls(client);
    assert.notEqual(sub, undefined);
    await client.close();

    const before = keeper.tokens();
    keeper.loseAccessToken();
    const again = await connect(keeper);
    assert.equal((await whoCalls(again))['sub'], sub);
    assert.notEqual(keeper.tokens()?.refresh_token, before?.refresh_token);
    await again.close();
    return clientId;
  }

  it('The MCP SDK gets and refreshes tokens with a client ID metadata document', async () => {
    assert.equal(await wholeStory(new Keeper(documentUrl)), documentUrl);
  });

  it('The MCP SDK registers a client, and gets and refreshes tokens', async () => {
    assert.notEqual(await wholeStory(new Keeper()), documentUrl);
  });
});
