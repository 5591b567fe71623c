import { interactionPolicy, type KoaContextWithOIDC } from 'oidc-provider';
import { mergeConsents, type Consents } from '../accounts/consents.ts';
import type { Announce } from '../events/events.ts';
import { policyOf } from './clients/client-metadata.ts';
import { accessAsked, grantConsented } from './existing-grant.ts';

const { Check, Prompt } = interactionPolicy;

interface Dependencies {
  consents: Consents;
  announce: Announce;
}

/**
 * A device is asked about once: the page that confirms it names the app, the code, the scopes and the account, so its
 * confirmation is the consent too (RFC 8628 §3.3). The engine passes this prompt once nobody has to sign in any more,
 * and before it looks for consents.
 */
export function deviceConfirmation(dependencies: Dependencies): interactionPolicy.Prompt {
  const consent = new Check('device_confirmed', 'the confirmation of a device is a consent', async (context) => {
    if (isForDevice(context) && isConfirmed(context)) await giveConsent(context, dependencies);
    return false;
  });
  return new Prompt({ name: 'device' }, consent);
}

/** Asks about a device for an account that its confirmation was not about: another tab has signed it in meanwhile. */
export const deviceUnconfirmed = new Check(
  'device_unconfirmed',
  'the device was confirmed for another account',
  (context) => isForDevice(context) && context.oidc.result?.consent === undefined,
);

/** The engine forgets that a device asked for a new sign-in (`max_age=0`), which it takes for a parameter of browsers. */
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
 * The engine takes the form of a confirmation only for the account that its page named. Where it named nobody, the
 * confirmation is of the person who then signed in by the device's own interaction.
 */
function isConfirmed({ oidc }: KoaContextWithOIDC): boolean {
  if (oidc.route === 'code_verification') return true;
  const named = oidc.entities.Interaction?.session?.accountId;
  const signedIn = oidc.result?.login?.accountId;
  return signedIn !== undefined && signedIn === oidc.session?.accountId && (named ?? signedIn) === signedIn;
}

/** Does what the consent page does, and tells the engine so. */
async function giveConsent({ oidc }: KoaContextWithOIDC, { consents, announce }: Dependencies): Promise<void> {
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
