import type { RollRefusal } from '../../clients/client-secrets.ts';
import { withDomain, type StoreContext, revocationDelayText } from '../store-context.ts';

/**
 * Prints only the new secret on standard output, for scripts. The note about the previous secret goes to standard
 * error.
 */
export function rollSecret(context: StoreContext, id: string): Promise<number> {
  const { chosen, given, terminal } = context;
  const { config } = chosen;
  const hasLeaked = given.options['now'] === true;
  return withDomain(context, async ({ clientSecrets, operations }) => {
    const reason = await clientSecrets.rollRefusal(id);
    if (reason !== undefined) return reportNotRolled(context, id, reason);
    const rollAndPrint = async (): Promise<void> => {
      const rolled = await clientSecrets.roll(id, { hasLeaked });
      if (typeof rolled === 'string') throw new Error(`the client was changed meanwhile: ${rolled}`);
      // Prints the secret first, because it is already valid and cannot be shown again.
      terminal.print(rolled.secret);
      terminal.warn(`this is the new secret of client ${JSON.stringify(id)}; it is not shown again`);
      if (!hasLeaked) terminal.warn(rolled.previousStaysValid ? PREVIOUS_STAYS_VALID : ONE_SECRET_ONLY);
    };
    if (!hasLeaked) await rollAndPrint();
    else {
      await operations.rollClientSecret(id, rollAndPrint);
      terminal.warn(
        `the previous secret no longer works, and everything issued to the client is revoked; ${revocationDelayText(config)}`,
      );
    }
    return 0;
  });
}

const PREVIOUS_STAYS_VALID = 'the previous secret stays valid until the next roll; if it has leaked, roll with --now';
const ONE_SECRET_ONLY = 'the previous secret no longer works: a client can sign with one secret only';

function reportNotRolled({ chosen, place, terminal }: StoreContext, id: string, reason: RollRefusal): number {
  const source = chosen.file ?? 'the demo';
  const name = `client ${JSON.stringify(id)}`;
  const reasons: Record<RollRefusal, string> = {
    absent: `there is no ${name} in ${place}`,
    configured:
      `${name} is defined in the configuration: in ${source}, move its secret to previous_secret, set a new one, and ` +
      `restart the server; if the secret has leaked, delete it instead, and run "latchkey revoke --client ${id}"`,
    'registered-itself': `${name} registered itself, and has no way to receive a new secret: disable or remove it`,
    'no-secret': `${name} has no secret: it authenticates with keys or a certificate, or is public`,
  };
  terminal.warn(`latchkey: ${reasons[reason]}`);
  return 1;
}
