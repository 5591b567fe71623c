import { styleText } from 'node:util';
import { demoPlaces } from '../config/demo.ts';
import { DEMO_PASSWORD } from '../config/loading/secret-strength.ts';
import { printableStoreUrl } from '../config/store-url.ts';
import type { Config } from '../config/schema.ts';

/**
 * Returns the demo's start message: addresses to open, how to sign in, how to stop. Coloured if the terminal supports
 * it.
 */
export function demoBanner({ issuer, listen, stores, keys_dir: keysDir, accounts }: Config): string {
  const places = demoPlaces(listen.port, new URL(issuer).hostname);
  const width = places.notes.length + 3;
  const link = (url: string, text: string) => `${styleText('cyan', url)}${' '.repeat(width - url.length)}${text}`;
  const signIn = accounts.map(({ email, roles }) => `${email}${' '.repeat(width - email.length)}${roles.join(', ')}`);
  const rows: [string, string][] = [
    ['Open', link(places.notes, 'Notes, an app')],
    ['', link(places.photos, 'Photos, another one: it knows you already')],
    ['', ''],
    ...signIn.map((text, index): [string, string] => [index === 0 ? 'Sign in' : '', text]),
    ['', `password ${styleText('bold', DEMO_PASSWORD)}, or sign up as somebody new`],
    ['', ''],
    ['Server', link(issuer, 'its description: /.well-known/openid-configuration')],
    ['API', link(places.api, 'GET /me, /notes, /admin')],
    ['Data', `${printableStoreUrl(stores.grants)}, ${keysDir}/   kept until you delete it`],
    ['Stop', 'Ctrl-C'],
  ];
  const lines = rows.map(([label, text]) => `  ${styleText('dim', label.padEnd(8))} ${text}`.trimEnd());
  return `\n  ${styleText('bold', 'Latchkey runs in demo mode')}, for this machine alone.\n\n${lines.join('\n')}\n`;
}
