import { interactionPolicy, type KoaContextWithOIDC } from 'oidc-provider';
import { mergeConsents, type Consents } from '../../accounts/consents.ts';
import type { Announce } from '../../events/events.ts';
import { policyOf } from '../clients/client-metadata.ts';
import { accessAsked, grantConsented } from '../existing-grant.ts';

const { Check, Prompt } = interactionPolicy;

interface Dependencies {
  consents: Consents;
  announce: Announce;
}

/**
 * Records the confirmation of a device as consent, so that the person is asked once. The confirmation page shows the
 * app, the code, the scopes and the account (RFC 8628 §3.3). The engine reaches this prompt after sign-in and before
 * consent. The prompt itself never asks anything.
 */
export function deviceConfirmation(dependencies: Dependencies): interactionPolicy.Prompt {
  const consent = new Check('device_confirmed', 'the confirmation of a device is a consent', async (context) => {
    if (isForDevice(context) && isConfirmed(context)) await storeConsent(context, dependencies);
    return false;
  });
  return new Prompt({ name: 'device' }, consent);
}

/** Asks for consent if the confirmation does not count, as when another tab has signed in a different account. */
export const deviceUnconfirmed = new Check(
  'device_unconfirmed',
  'the device was confirmed for another account',
  (context) => isForDevice(context) && context.oidc.result?.consent === undefined,
);

/**
 * Asks for a sign-in if the device requested a new one. The engine turns `max_age=0` into `prompt=login`, and then
 * ignores `prompt` in a device's request.
 */
export const deviceSignInAsked = new Check(
  'device_login_prompt',
  'the device asks for a new sign-in',
  'login_required',
  (context) => {
    const { deviceCode, result } = context.oidc;
    const { prompt } = deviceCode?.params ?? {};
    return typeof prompt === 'string' && prompt.split(' ').includes('login') && result?.login === undefined;
  },
);

function isForDevice({ oidc: { route } }: KoaContextWithOIDC): boolean {
  return route === 'code_verification' || route === 'device_resume';
}

/**
 * Tells whether the confirmation counts for the signed-in account. If the page showed an account, only that account
 * counts. If it showed none, the account counts that then signed in through the device's own interaction.
 */
function isConfirmed({ oidc }: KoaContextWithOIDC): boolean {
  if (oidc.route === 'code_verification') return true;
  const named = oidc.entities.Interaction?.session?.accountId;
  const signedIn = oidc.result?.login?.accountId;
  return signedIn !== undefined && signedIn === oidc.session?.accountId && (named ?? signedIn) === signedIn;
}

/** Records the consent as the consent page does, and sets it as a result for the engine. */
async function storeConsent({ oidc }: KoaContextWithOIDC, { consents, announce }: Dependencies): Promise<void> {
  const { client, grant, session } = oidc;
  const account = session?.accountId;
  if (client === undefined || grant === undefined || session === undefined || account === undefined) return;
  const { clientId } = client;
  const asked = accessAsked({ oidc });
  const grantId = await grantConsented(grant, asked).save();
  session.ensureClientContainer(clientId);
  session.grantIdFor(clientId, grantId);
  if (!policyOf(client).firstParty) {
    const before = await consents.find(account, clientId);
    await consents.remember(account, clientId, mergeConsents(before, asked));
    announce({ type: 'consent.given', account, client: clientId });
  }
  Object.assign(oidc, { result: { ...oidc.result, consent: { grantId } } });
}
