import { fileURLToPath } from 'node:url';
import type { Logger } from 'pino';
import type { Config } from '../config/schema.ts';
import type { Credentials } from '../credentials/credentials.ts';
import { AnsweredForms } from '../forms/answered-forms.ts';
import { csrfTokens } from '../http/csrf.ts';
import { logoAddresses } from '../http/logo-address.ts';
import { loadViews } from '../http/view.ts';
import type { RingSnapshot } from '../keys/ring.ts';
import type { Clock } from '../lib/clock.ts';
import type { Random } from '../lib/random.ts';
import { Interactions } from '../oidc/storage/interactions.ts';
import { pendingRequests } from '../oidc/storage/pending-requests.ts';
import type { Store } from '../storage/store.ts';
import { warningOf } from './domain.ts';

const VIEWS = fileURLToPath(new URL('../../views', import.meta.url));

export interface PagesOptions {
  config: Config;
  grants: Store;
  clock: Clock;
  random: Random;
  log: Pick<Logger, 'warn'>;
  secrets: RingSnapshot;
  knownBrowser: Credentials['knownBrowser'];
}

/** Page templates, and the records that bind an interaction or a form to one browser and one answer. */
export function openPages({ config, grants, clock, random, log, secrets, knownBrowser }: PagesOptions) {
  const pending = pendingRequests({ grants, clock, knownBrowser, limits: config.pending_requests });
  const reportFailure = warningOf(log, 'a sign-in that has ended is counted as waiting for some minutes');
  const logos = logoAddresses(secrets.derive('logos'));
  return {
    views: loadViews({ directory: VIEWS, brand: config.branding.name, logoPath: logos.pathOf }),
    logos,
    csrf: csrfTokens(secrets.derive('csrf'), random),
    forms: new AnsweredForms(grants, random),
    pending,
    interactions: new Interactions({ grants, clock, random, pending, reportFailure }),
  };
}
