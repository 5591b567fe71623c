import type { Provider } from 'oidc-provider';
import type { Accounts } from '../accounts/accounts.ts';
import type { Consents } from '../accounts/consents.ts';
import type { DetailType } from '../config/sections/detail-schema.ts';
import type { ResourceConfig } from '../config/schema.ts';
import type { AdmitAttempt, SignIn } from '../credentials/password-check.ts';
import type { SignUp } from '../credentials/sign-up.ts';
import type { Announce } from '../events/events.ts';
import type { Csrf } from '../http/csrf.ts';
import type { Views } from '../http/view.ts';
import type { Clock } from '../lib/clock.ts';
import type { Interactions } from '../oidc/storage/interactions.ts';

/** Dependencies of the pages of an interaction. */
export interface InteractionContext {
  provider: Provider;
  views: Views;
  csrf: Csrf;
  interactions: Interactions;
  accounts: Accounts;
  consents: Consents;
  signIn: SignIn;
  admitAttempt: AdmitAttempt;
  /** Absent if only the operator makes accounts. */
  signUp?: SignUp;
  passwordMinLength: number;
  resources: readonly ResourceConfig[];
  detailTypes: readonly DetailType[];
  announce: Announce;
  clock: Clock;
}
