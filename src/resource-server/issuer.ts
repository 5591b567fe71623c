import { IssuerKeys } from './issuer-keys.ts';
import { fetchIssuerMetadata } from './issuer-metadata.ts';
import type { IssuerMetadata } from './issuer-metadata.ts';
import { acceptFor, ASYMMETRIC } from './settings.ts';
import type { Settings } from './settings.ts';
import { StatusLists } from './status-lists.ts';

/**
 * Seconds for which old keys are used after the issuer has announced a change. A status list may be unconfirmed for as
 * long.
 */
const OUTDATED_FOR = 10;

/** An issuer's published documents, each fetched when it is first needed. */
export interface Issuer {
  readonly keys: IssuerKeys;
  /** Undefined if `status.check` is `off`. */
  readonly statusLists: StatusLists | undefined;
}

export function issuerOf(settings: Settings): Issuer {
  const { issuer, jwksUri, timeout, status } = settings;
  const metadata = remembered(() => fetchIssuerMetadata(issuer, timeout));
  const keys = new IssuerKeys({
    ...settings,
    outdatedFor: OUTDATED_FOR + acceptFor(status),
    jwksUri: async () => (jwksUri === undefined ? (await metadata()).jwksUri : new URL(jwksUri)),
  });
  if (status.check === 'off') return { keys, statusLists: undefined };
  const statusLists = new StatusLists({
    ...settings,
    keys,
    // The configured algorithms apply only to this API's tokens. A status list covers the tokens of all APIs.
    algorithms: ASYMMETRIC,
    isRequired: status.check === 'required',
    acceptFor: acceptFor(status),
    client: status.client,
    eventsUrl:
      status.push && settings.waitUntil === undefined ? async () => (await metadata()).statusEvents : undefined,
  });
  return { keys, statusLists };
}

/** Returns a function that loads the metadata once, and again only after a failure. */
function remembered(load: () => Promise<IssuerMetadata>): () => Promise<IssuerMetadata> {
  let loading: Promise<IssuerMetadata> | undefined;
  return () => {
    loading ??= load().catch((error: unknown) => {
      loading = undefined;
      throw error;
    });
    return loading;
  };
}
