import { faces, type ProblemFace } from '../http/problems.ts';
import { SignerUnavailable } from '../keys/external-signer.ts';
import { TooManyPending } from './storage/pending-requests.ts';
import { StoreUnavailable } from '../storage/store.ts';

/** What the wire says of a failure inside the engine that is ours; a store or a signer that is away is not a fault of the code. */
export function ourFace(error: Error): ProblemFace {
  if (error instanceof SignerUnavailable) return faces['cannot-sign'];
  if (error instanceof TooManyPending) return faces['too-many-waiting'];
  return error instanceof StoreUnavailable ? faces.unavailable : faces.unexpected;
}
