import {
  errors,
  type CIBAEnabledConfiguration,
  type Client,
  type KoaContextWithOIDC,
  type Provider,
} from 'oidc-provider';
import type { Accounts } from '../accounts/accounts.ts';
import type { Approval, Approvals } from '../accounts/approvals.ts';
import type { SubjectNames } from '../accounts/pairwise.ts';
import type { Config, ResourceConfig } from '../config/schema.ts';
import { openRisingDelay, type DelayRule, type RisingDelay } from '../credentials/rising-delay.ts';
import type { Announce } from '../events/events.ts';
import type { Clock } from '../lib/clock.ts';
import { hasHiddenCharacters } from '../lib/hidden-characters.ts';
import type { Store } from '../storage/store.ts';
import { policyOf } from './clients/client-metadata.ts';
import { grantConsented } from './existing-grant.ts';
import { POLL_INTERVAL } from './polling.ts';
import { requestedAccess } from './requests/requested-scopes.ts';

/** Sign-in of the person who approves. */
interface SignedIn {
  acr: string | undefined;
  amr: string[] | undefined;
  /** In seconds since the epoch. */
  authTime: number | undefined;
}

export interface BackchannelRequests {
  readonly feature: CIBAEnabledConfiguration;
  /** Stores the person's answer for the app, and sends a ping if the app is registered for one. */
  readonly answer: (
    provider: Provider,
    approval: Approval,
    decision: { isAllowed: boolean; by: SignedIn },
  ) => Promise<void>;
}

interface BackchannelDependencies {
  accounts: Accounts;
  subjectNames: SubjectNames;
  approvals: Approvals;
  resources: readonly ResourceConfig[];
  limits: Config['ciba'];
  grants: Store;
  announce: Announce;
  clock: Clock;
}

/**
 * Slows down an app that keeps asking a person who has not agreed. A person who is worn down by requests may agree in
 * the end.
 */
function approvalDelayRule({ unanswered: free, longest_pause: longest }: Config['ciba']): DelayRule {
  return { name: 'approval', free, longest, memory: Math.max(86_400, longest) };
}

/**
 * Configures authentication requests without a browser, which people answer on an account page (OpenID Connect CIBA
 * Core 1.0).
 */
export function backchannelRequests(dependencies: BackchannelDependencies): BackchannelRequests {
  const delay = openRisingDelay({
    grants: dependencies.grants,
    clock: dependencies.clock,
    rule: approvalDelayRule(dependencies.limits),
  });
  return {
    feature: {
      enabled: true,
      deliveryModes: ['poll', 'ping'],
      processLoginHint: async ({ oidc }, hint = '') => (await findByHint(dependencies, hint, oidc.client))?.id,
      processLoginHintToken: () => {
        throw new errors.InvalidRequest('login_hint_token is not supported');
      },
      verifyUserCode: ({ oidc }, { accountId }) => refuseTooManyRequests(dependencies, delay, accountId, oidc.client),
      validateBindingMessage: (_context, message) => {
        if (message === undefined || (BINDING_MESSAGE.test(message) && !hasHiddenCharacters(message))) return;
        throw new errors.InvalidBindingMessage('it must be 1 to 60 letters, digits, signs and spaces');
      },
      validateRequestContext: ({ oidc }) => {
        if (oidc.params?.['authorization_details'] === undefined) return;
        throw new errors.InvalidRequest('authorization_details are not supported here');
      },
      triggerAuthenticationDevice: async (context, request, _account, client) => {
        await dependencies.approvals.ask(approvalOf(context, client, dependencies.resources), request.expiration);
        context.body = { ...(context.body as object), interval: POLL_INTERVAL };
      },
    },
    answer: async (provider, approval, decision) => {
      const { account, client } = approval;
      if (decision.isAllowed) await delay.clear(`${account}\n${client}`);
      dependencies.announce({ type: decision.isAllowed ? 'approval.given' : 'approval.denied', account, client });
      const { Grant } = provider;
      const grant = grantConsented(new Grant({ accountId: account, clientId: client }), approval.asked);
      if (decision.isAllowed) await grant.save();
      const result = decision.isAllowed ? grant : new errors.AccessDenied('the person did not allow it');
      await provider.backchannelResult(approval.request, result, signInFacts(decision.by));
    },
  };
}

/** Allowed binding messages: short, printable text that a person can compare on two screens. */
const BINDING_MESSAGE = /^[\p{L}\p{M}\p{N}\p{P}\p{S} ]{1,60}$/u;

/** Finds an account by a `login_hint`: an email address, or the `sub` that the client's ID tokens contain. */
async function findByHint(
  { accounts, subjectNames }: BackchannelDependencies,
  hint: string,
  client: Client | undefined,
) {
  const named = subjectNames.accountFor(hint, client && policyOf(client).sector);
  return (await accounts.findByEmail(hint)) ?? (named === undefined ? undefined : accounts.find(named));
}

async function refuseTooManyRequests(
  { approvals, limits }: BackchannelDependencies,
  delay: RisingDelay,
  account: string,
  client: Client | undefined,
): Promise<void> {
  const waiting = (await approvals.waiting(account)).filter((one) => one.client === client?.clientId);
  const subject = `${account}\n${client?.clientId ?? ''}`;
  const isTooMany = waiting.length >= limits.waiting || (await delay.remaining(subject)) > 0;
  if (!isTooMany && (await delay.reserve(subject)) === 0) return;
  const refused = new errors.OIDCProviderError(403, 'access_denied');
  throw Object.assign(refused, { error_description: 'this person has been asked too often; wait for an answer' });
}

function approvalOf(
  { oidc }: KoaContextWithOIDC,
  client: Client,
  resources: readonly ResourceConfig[],
): Omit<Approval, 'id' | 'askedAt'> {
  const { params = {}, account, entities } = oidc;
  const message = params['binding_message'];
  return {
    account: account?.accountId ?? '',
    client: client.clientId,
    clientName: client.clientName ?? client.clientId,
    asked: requestedAccess(params, client, resources),
    ...(typeof message === 'string' ? { bindingMessage: message } : {}),
    request: entities.BackchannelAuthenticationRequest?.jti ?? '',
  };
}

function signInFacts({ acr, amr, authTime }: SignedIn): Parameters<Provider['backchannelResult']>[2] {
  return { ...(acr && { acr }), ...(amr && { amr }), ...(authTime && { authTime }) };
}

/** Reports a failed ping instead of throwing. The person's answer stays stored, and the client can poll for it. */
export function pingWithoutFail(engine: (request: object) => Promise<void>, { announce }: { announce: Announce }) {
  return async function backchannelPing(this: Client, request: object): Promise<void> {
    await engine.call(this, request).catch((error: unknown) => {
      const reason = error instanceof Error ? error.message : 'unknown';
      announce({ type: 'approval.ping-failed', client: this.clientId, reason });
    });
  };
}
