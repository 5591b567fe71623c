import type { RevocationTarget } from '../../events/events.ts';
import type { Domain } from '../../domain/domain.ts';
import type { Terminal } from '../command.ts';

/** A planned revocation and its consequences for people. */
export interface Plan {
  target: RevocationTarget;
  /** Continues the text "revoking …". */
  what: string;
  lines: readonly string[];
}

export interface Asked {
  domain: Domain;
  terminal: Terminal;
  /** In milliseconds since the epoch. */
  before: number | undefined;
}
