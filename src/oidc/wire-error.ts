import { faces, type ProblemFace } from '../http/problems.ts';
import { SignerUnavailable } from '../keys/external-signer.ts';
import { TooManyPending } from './storage/pending-requests.ts';
import { StoreUnavailable } from '../storage/store.ts';

/**
 * Returns the response for a failure of this server inside the engine. An unreachable store or signer is an outage and
 * not a bug.
 */
export function wireErrorOf(error: Error): ProblemFace {
  if (error instanceof SignerUnavailable) return faces['cannot-sign'];
  if (error instanceof TooManyPending) return faces['too-many-waiting'];
  return error instanceof StoreUnavailable ? faces.unavailable : faces.unexpected;
}
