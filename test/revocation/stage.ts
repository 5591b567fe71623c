import assert from 'node:assert/strict';
import type { ClientConfig, Config } from '../../src/config/schema.ts';
import { JWT_BEARER, TOKEN_EXCHANGE } from '../../src/config/sections/client-schema.ts';
import { Secret } from '../../src/config/secret.ts';
import { ACCESS_TOKEN } from '../grants/exchange-setup.ts';
import { Browser } from '../support/browser.ts';
import { refresh, tokenRequest, tokensFor, type Person, type TokenAnswer } from '../support/flows.ts';
import { apiOf } from '../support/tokens.ts';
import { heldJwt, heldRecord, heldSession, type Held } from './held.ts';
import type { RevocationSetup } from './two-nodes.ts';

const PASSWORD = 'a long phrase of somebody';
export const secretOf = (clientId: string): string => `the-secret-of-${clientId}`;

/** One sign-in of one browser at one app, and all that came of it. */
export interface SignedIn {
  readonly app: string;
  readonly browser: Browser;
  readonly tokens: Record<string, string>;
  readonly jwt: Held;
  readonly refreshToken: Held;
  readonly session: Held;
}

/** The people and the apps of one cause, which no other cause has to do with. */
export class Stage {
  readonly setup: RevocationSetup;
  readonly app: string;
  readonly otherApp: string;
  readonly machine: string;
  readonly person: Person;
  readonly otherPerson: Person;

  constructor(setup: RevocationSetup, cause: string) {
    const { people, apps, machine } = castOf(cause);
    this.setup = setup;
    [this.person, this.otherPerson] = people;
    [this.app, this.otherApp] = apps;
    this.machine = machine;
  }

  /** @param options `offline`: the app may go on when the session has ended; `at`: the node that all of it is done at */
  async signIn(
    options: { app?: string; person?: Person; offline?: boolean; browser?: Browser; at?: 0 | 1; scope?: string } = {},
  ): Promise<SignedIn> {
    const { issuer, nodes } = this.setup;
    const { app = this.app, person = this.person, offline = false, browser = new Browser(), at = 0 } = options;
    const { scope = 'openid notes:read' } = options;
    const parameters = offline ? { scope: `${scope} offline_access`, prompt: 'consent' } : { scope };
    const tokens = await nodes[at].run(() => tokensFor(issuer, { person, clientId: app, browser, parameters }));
    return this.held(app, browser, tokens);
  }

  held(app: string, browser: Browser, tokens: Record<string, string>): SignedIn {
    const { setup } = this;
    return {
      app,
      browser,
      tokens,
      jwt: heldJwt(setup, `an access token of ${app}`, tokens['access_token'] ?? ''),
      refreshToken: heldRecord(setup, `a refresh token of ${app}`, tokens['refresh_token'] ?? ''),
      session: heldSession(setup, 'a session', browser, app),
    };
  }

  refresh({ app, tokens }: SignedIn): Promise<TokenAnswer> {
    return refresh(this.setup.issuer, tokens['refresh_token'], { client_id: app });
  }

  async refreshed(signedIn: SignedIn): Promise<SignedIn> {
    const { status, body } = await this.refresh(signedIn);
    assert.equal(status, 200, JSON.stringify(body));
    return this.held(signedIn.app, signedIn.browser, body as Record<string, string>);
  }

  /** Fills in and sends the form of one of the person's own pages. */
  async form({ browser }: SignedIn, path: string, fields: Record<string, string>): Promise<void> {
    const answer = await browser.submit(await browser.visit(this.setup.issuer + path), fields);
    assert.equal(answer.status, 200, answer.html);
  }

  /** An access token that only the server knows, of the same session. */
  async opaque({ browser }: SignedIn, app = this.app): Promise<Held & { token: string }> {
    const { tokens } = await this.signIn({ browser, app, scope: 'openid' });
    const token = tokens['access_token'] ?? '';
    assert.doesNotMatch(token, /\./);
    return { ...heldRecord(this.setup, `an opaque token of ${app}`, token), token };
  }

  /** An access token that a machine gets for itself, or by another grant. */
  async machineToken(
    machine = this.machine,
    parameters: Record<string, string> = {},
  ): Promise<Held & { token: string }> {
    const request = { grant_type: 'client_credentials', scope: 'notes:read', ...parameters };
    const { status, body } = await tokenRequest(this.setup.issuer, request, `${machine}:${secretOf(machine)}`);
    assert.equal(status, 200, JSON.stringify(body));
    const token = String(body['access_token']);
    return { ...heldJwt(this.setup, `an access token of ${machine}`, token), token };
  }

  /** What the machine gets in exchange for an access token of an app, to call the next API for the person (RFC 8693). */
  exchanged({ tokens }: SignedIn): Promise<Held & { token: string }> {
    const subject = { subject_token: tokens['access_token'] ?? '', subject_token_type: ACCESS_TOKEN };
    return this.machineToken(this.machine, {
      grant_type: TOKEN_EXCHANGE,
      ...subject,
      resource: apiOf(this.setup.issuer),
    });
  }

  /** RFC 7009. */
  async revokeToken(token: string, app = this.app): Promise<void> {
    const response = await fetch(`${this.setup.issuer}/revoke`, {
      method: 'POST',
      body: new URLSearchParams({ token, client_id: app }),
    });
    assert.equal(response.status, 200, await response.text());
  }
}

function castOf(cause: string): { people: [Person, Person]; apps: [string, string]; machine: string } {
  const person = (name: string): Person => ({ email: `${name}@example.com`, password: PASSWORD });
  return {
    people: [person(cause), person(`neighbour-of-${cause}`)],
    apps: [`app-${cause}`, `other-app-${cause}`],
    machine: `machine-${cause}`,
  };
}

/** The demo's configuration with everybody whom these causes need. */
export function withCasts(causes: readonly string[], config: Config, logoutUri: string): Config {
  const casts = causes.map(castOf);
  const like = (template: string, client_id: string, more: Partial<ClientConfig>): ClientConfig => {
    const found = config.clients.find((client) => client.client_id === template);
    assert.ok(found !== undefined);
    return { ...found, client_id, ...more };
  };
  return {
    ...config,
    clients: [
      ...config.clients,
      ...casts.flatMap(({ apps, machine }) => [
        ...apps.map((app) => like('demo-notes', app, { backchannel_logout_uri: logoutUri })),
        like('demo-service', machine, {
          secret: new Secret(secretOf(machine)),
          grant_types: ['client_credentials', JWT_BEARER, TOKEN_EXCHANGE],
          token_exchange: {
            clients: apps,
            audiences: [apiOf(config.issuer)],
            resources: [apiOf(config.issuer)],
            subject_token_types: ['access_token'],
            actor_token_types: [],
            impersonation: false,
          },
        }),
      ]),
    ],
    accounts: [
      ...config.accounts,
      ...casts.flatMap(({ people }) =>
        people.map(({ email, password }) => ({
          email,
          name: email,
          password: new Secret(password),
          roles: ['user'],
          email_verified: false,
        })),
      ),
    ],
  };
}
