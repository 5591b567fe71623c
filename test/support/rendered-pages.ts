import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { PageName } from '../../src/http/pages.ts';
import { logoAddresses } from '../../src/http/logo-address.ts';
import { loadViews } from '../../src/http/view.ts';
import { pageSamples } from './page-samples.ts';

export const viewsDirectory = join(import.meta.dirname, '../../views');
export const views = loadViews({
  directory: viewsDirectory,
  brand: 'Latchkey',
  logoPath: logoAddresses(Buffer.alloc(32)).pathOf,
});

/** Every page at its least and at its most. */
export function renderedPages(): { label: string; name: PageName; html: string }[] {
  return pageNames().flatMap((name) => [
    { label: `${name}, minimal`, name, html: views.render(name, pageSamples[name].minimal) },
    { label: `${name}, full`, name, html: views.render(name, pageSamples[name].full) },
  ]);
}

export function pageNames(): PageName[] {
  return Object.keys(pageSamples).filter((name): name is PageName => name in pageSamples);
}

export function templates(): { file: string; source: string }[] {
  const files = readdirSync(viewsDirectory).filter((file) => file.endsWith('.eta'));
  return files.map((file) => ({ file, source: readFileSync(join(viewsDirectory, file), 'utf8') }));
}
