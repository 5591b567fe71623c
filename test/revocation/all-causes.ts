import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Operations } from '../../src/revocation/operations.ts';
import { Browser } from '../support/browser.ts';
import { authorizationRequest, exchangeCode, signIn } from '../support/flows.ts';
import type { Held } from './held.ts';
import { decodeProtectedHeader } from 'jose';
import { foreignIssuer, JWT_BEARER } from '../grants/jwt-bearer/foreign-issuer.ts';
import { apiOf } from '../support/tokens.ts';
import type { Stage } from './stage.ts';

/** A reason to take something back, and all that follows from it. */
export interface Cause {
  /** What its people and apps are named after. */
  readonly id: string;
  /** What happens, in words. */
  readonly when: string;
  begin(stage: Stage): Promise<Scene>;
}

/** What there is before it happens, and all of which works. */
export interface Scene {
  readonly ends: readonly Held[];
  readonly stays: readonly Held[];
  /** Settled, it has been reported to whoever asked for it. */
  act(): Promise<unknown>;
  /** The apps that are told by back-channel logout. */
  readonly told?: readonly string[];
}

const done = (): Promise<void> => Promise.resolve();
const all = ({ jwt, refreshToken }: { jwt: Held; refreshToken: Held }): Held[] => [jwt, refreshToken];

const OF_ACCOUNTS: [id: string, when: string, ...line: string[]][] = [
  ['account-disabled', 'an operator disables an account', 'disable'],
  ['account-removed', 'an operator removes an account', 'remove', '--yes'],
  ['account-signed-out', 'an operator revokes everything of an account from before this instant', 'sign-out'],
];

const OF_CLIENTS: [id: string, when: string, end: (operations: Operations, client: string) => Promise<unknown>][] = [
  ['client-disabled', 'a client is disabled', (operations, client) => operations.disableClient(client)],
  [
    'client-rolled',
    'an operator replaces a client’s secret and revokes its tokens',
    (operations, client) => operations.rollClientSecret(client, done),
  ],
  [
    'client-ended',
    'an operator revokes everything of a client from before this instant',
    (operations, client) => operations.endBefore({ client }),
  ],
];

export const CAUSES: readonly Cause[] = [
  {
    id: 'jwt-given-back',
    when: 'an app revokes a JWT access token (RFC 7009)',
    async begin(stage) {
      const first = await stage.signIn();
      const elsewhere = await stage.signIn();
      return {
        ends: [first.jwt],
        stays: [first.session, first.refreshToken, ...all(elsewhere)],
        act: () => stage.revokeToken(first.tokens['access_token'] ?? ''),
      };
    },
  },
  {
    id: 'opaque-given-back',
    when: 'an app revokes an opaque access token (RFC 7009)',
    async begin(stage) {
      const first = await stage.signIn();
      const opaque = await stage.opaque(first);
      const elsewhere = await stage.signIn();
      return {
        ends: [opaque],
        stays: [first.session, ...all(elsewhere)],
        act: () => stage.revokeToken(opaque.token),
      };
    },
  },
  {
    id: 'refresh-token-given-back',
    when: 'an app revokes a refresh token (RFC 7009)',
    async begin(stage) {
      const first = await stage.signIn();
      const opaque = await stage.opaque(first);
      const exchanged = await stage.exchanged(first);
      const other = await stage.signIn({ app: stage.otherApp, browser: first.browser });
      const elsewhere = await stage.signIn({ at: 1 });
      return {
        ends: [...all(first), opaque, exchanged],
        stays: [first.session, ...all(other), ...all(elsewhere)],
        act: () => stage.revokeToken(first.tokens['refresh_token'] ?? ''),
      };
    },
  },
  {
    id: 'code-replayed',
    when: 'an app uses a code a second time',
    async begin(stage) {
      const { issuer } = stage.setup;
      const browser = new Browser();
      const request = authorizationRequest(issuer, stage.app, { scope: 'openid notes:read' });
      const callback = await signIn(browser, request, stage.person);
      const { body } = await exchangeCode(issuer, request, callback);
      const first = stage.held(stage.app, browser, body as Record<string, string>);
      const elsewhere = await stage.signIn({ at: 1 });
      return {
        ends: all(first),
        stays: [first.session, ...all(elsewhere)],
        act: async () => assert.equal((await exchangeCode(issuer, request, callback)).status, 400),
      };
    },
  },
  {
    id: 'refresh-token-replayed',
    when: 'an app repeats a refresh token after it used the successor',
    async begin(stage) {
      const first = await stage.signIn({ at: 1 });
      const second = await stage.refreshed(first);
      const third = await stage.refreshed(second);
      const elsewhere = await stage.signIn();
      return {
        ends: [first.jwt, second.jwt, ...all(third)],
        stays: [first.session, ...all(elsewhere)],
        act: async () => assert.equal((await stage.refresh(first)).status, 400),
      };
    },
  },
  {
    id: 'signed-out-here',
    when: 'a person signs out at the server',
    async begin(stage) {
      const first = await stage.signIn();
      const other = await stage.signIn({ app: stage.otherApp, browser: first.browser, at: 1 });
      const opaque = await stage.opaque(other, stage.otherApp);
      const elsewhere = await stage.signIn();
      return {
        ends: [first.session, ...all(first), ...all(other), opaque],
        stays: [elsewhere.session, ...all(elsewhere)],
        act: async () => {
          const page = await first.browser.visit(`${stage.setup.issuer}/logout`);
          await first.browser.submit(page, { logout: 'yes' });
        },
        told: [stage.app, stage.otherApp],
      };
    },
  },
  {
    id: 'signed-out-from-an-app',
    when: 'a person signs out from an app',
    async begin(stage) {
      const first = await stage.signIn();
      const offline = await stage.signIn({ app: stage.otherApp, browser: first.browser, offline: true });
      const elsewhere = await stage.signIn({ at: 1 });
      return {
        ends: [first.session, ...all(first)],
        stays: [...all(offline), elsewhere.session, ...all(elsewhere)],
        act: () =>
          first.browser.visit(`${stage.setup.issuer}/logout?id_token_hint=${String(first.tokens['id_token'])}`),
        told: [stage.app, stage.otherApp],
      };
    },
  },
  {
    id: 'password-changed',
    when: 'a person changes their password',
    async begin(stage) {
      const here = await stage.signIn();
      const elsewhere = await stage.signIn({ at: 1 });
      const offline = await stage.signIn({ app: stage.otherApp, offline: true });
      const neighbour = await stage.signIn({ person: stage.otherPerson });
      const next = 'quite another phrase of somebody';
      return {
        // What the apps of this session hold ends too: they get it anew without a question.
        ends: [...all(here), elsewhere.session, ...all(elsewhere), offline.session, ...all(offline)],
        stays: [here.session, neighbour.session, ...all(neighbour)],
        act: () => stage.form(here, '/password', { current: stage.person.password, next, again: next }),
        told: [stage.app, stage.otherApp],
      };
    },
  },
  {
    id: 'session-ended',
    when: 'a person ends their session in another browser',
    async begin(stage) {
      const here = await stage.signIn();
      const lost = await stage.signIn({ at: 1 });
      return {
        ends: [lost.session, ...all(lost)],
        stays: [here.session, ...all(here)],
        act: () => stage.form(here, '/sessions', { session: 'others', confirm: 'yes' }),
        told: [stage.app],
      };
    },
  },
  {
    id: 'consent-withdrawn',
    when: 'a person withdraws an app’s access',
    async begin(stage) {
      const here = await stage.signIn({ offline: true });
      const elsewhere = await stage.signIn({ offline: true, at: 1 });
      const other = await stage.signIn({ app: stage.otherApp, browser: here.browser });
      const neighbour = await stage.signIn({ person: stage.otherPerson });
      return {
        ends: [...all(here), ...all(elsewhere)],
        stays: [here.session, ...all(other), ...all(neighbour)],
        act: () => stage.form(here, '/apps', { app: stage.app, confirm: 'yes' }),
        told: [stage.app],
      };
    },
  },
  ...OF_ACCOUNTS.map(([id, when, ...line]): Cause => ({
    id,
    when,
    async begin(stage) {
      const first = await stage.signIn();
      const opaque = await stage.opaque(first);
      const offline = await stage.signIn({ app: stage.otherApp, offline: true, at: 1 });
      const neighbour = await stage.signIn({ person: stage.otherPerson });
      return {
        ends: [first.session, ...all(first), opaque, offline.session, ...all(offline)],
        stays: [neighbour.session, ...all(neighbour)],
        act: () => stage.setup.command('accounts', ...line, stage.person.email),
        told: [stage.app, stage.otherApp],
      };
    },
  })),
  ...OF_CLIENTS.map(([id, when, end]): Cause => ({
    id,
    when,
    async begin(stage) {
      const first = await stage.signIn({ offline: true });
      const opaque = await stage.opaque(first);
      const exchanged = await stage.exchanged(first);
      const neighbour = await stage.signIn({ person: stage.otherPerson, at: 1 });
      const machine = await stage.machineToken();
      const other = await stage.signIn({ app: stage.otherApp, browser: first.browser });
      return {
        ends: [...all(first), opaque, exchanged, ...all(neighbour)],
        stays: [machine, ...all(other), other.session],
        act: () => end(stage.setup.operations, stage.app),
      };
    },
  })),
  {
    id: 'issuer-removed',
    when: 'a trusted issuer is removed',
    async begin(stage) {
      const [bad, good] = [await trustIssuer(stage, 'bad'), await trustIssuer(stage, 'good')];
      const own = await stage.machineToken();
      return {
        ends: [bad.token],
        stays: [good.token, own],
        act: () => stage.setup.command('issuers', 'remove', bad.issuer),
      };
    },
  },
];

/** These end what the others have left. */
export const LAST_CAUSES: readonly Cause[] = [
  {
    id: 'everything-before',
    when: 'an operator revokes everything from before an instant',
    async begin(stage) {
      const first = await stage.signIn();
      const offline = await stage.signIn({ app: stage.otherApp, person: stage.otherPerson, offline: true, at: 1 });
      const machine = await stage.machineToken();
      return {
        ends: [first.session, ...all(first), offline.session, ...all(offline), machine],
        stays: [],
        act: () => stage.setup.operations.endBefore('everybody'),
        told: [stage.app, stage.otherApp],
      };
    },
  },
  {
    id: 'key-revoked',
    when: 'a signing key is revoked',
    async begin(stage) {
      const first = await stage.signIn();
      const machine = await stage.machineToken();
      const kid = decodeProtectedHeader(machine.token).kid ?? '';
      return {
        ends: [first.jwt, machine],
        stays: [first.session, first.refreshToken],
        act: () => stage.setup.command('keys', 'revoke', '--yes', '--', kid),
      };
    },
  },
];

/** Trusts another issuer, and brings an assertion of it. */
async function trustIssuer(stage: Stage, which: string) {
  const { setup, machine } = stage;
  const issuer = foreignIssuer(`https://${which}.example`, setup.issuer);
  const file = join(setup.place.directory, `${which}.json`);
  const trusted = {
    ...{ issuer: issuer.issuer, jwks: { keys: [issuer.jwk] } },
    ...{ subject: { is: 'account', links: { 'their-alice': stage.person.email } }, claims: {} },
    ...{ clients: [machine], resources: [apiOf(setup.issuer)], scopes: ['notes:read'] },
  };
  await writeFile(file, JSON.stringify(trusted));
  await setup.command('issuers', 'add', file);
  const token = await stage.machineToken(machine, { grant_type: JWT_BEARER, assertion: issuer.assertion() });
  return { issuer: issuer.issuer, token };
}
