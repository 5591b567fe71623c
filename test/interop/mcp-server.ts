import {
  mcpAuthMetadataRouter,
  getOAuthProtectedResourceMetadataUrl,
} from '@modelcontextprotocol/sdk/server/auth/router.js';
import { requireBearerAuth } from '@modelcontextprotocol/sdk/server/auth/middleware/bearerAuth.js';
import { InvalidTokenError } from '@modelcontextprotocol/sdk/server/auth/errors.js';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { OAuthMetadataSchema } from '@modelcontextprotocol/sdk/shared/auth.js';
import express, { type Express } from 'express';
import { createVerifier } from '../../src/resource-server/verifier.ts';

/** An MCP server with one tool, which says who calls it; protected by the SDK, which asks our kit about tokens. */
export async function mcpServer(issuer: string, place: URL): Promise<Express> {
  const metadata = await fetch(`${issuer}/.well-known/oauth-authorization-server`);
  const verifier = createVerifier({ issuer, audience: place.href });
  const site = express();
  site.use(
    mcpAuthMetadataRouter({
      oauthMetadata: OAuthMetadataSchema.parse(await metadata.json()),
      resourceServerUrl: place,
      scopesSupported: ['mcp:tools'],
    }),
  );
  const guard = requireBearerAuth({
    requiredScopes: ['mcp:tools'],
    resourceMetadataUrl: getOAuthProtectedResourceMetadataUrl(place),
    verifier: {
      async verifyAccessToken(token) {
        const { clientId, scopes, expiresAt, sub } = await verifier.verify(token).catch((error: unknown) => {
          throw new InvalidTokenError(error instanceof Error ? error.message : 'refused');
        });
        return { token, clientId, scopes: [...scopes], expiresAt, resource: place, extra: { sub } };
      },
    },
  });
  site.post('/mcp', guard, express.json(), async (request, response) => {
    const server = new McpServer({ name: 'who', version: '1.0.0' });
    server.registerTool('who', { description: 'Says who calls' }, ({ authInfo }) => ({
      content: [{ type: 'text', text: JSON.stringify({ client: authInfo?.clientId, sub: authInfo?.extra?.['sub'] }) }],
    }));
    const transport = new StreamableHTTPServerTransport();
    await server.connect(transport);
    await transport.handleRequest(request, response, request.body);
  });
  return site;
}
