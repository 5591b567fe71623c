import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { Eta } from 'eta/core';
import type { Context } from 'koa';
import { sha256 } from '../lib/hash.ts';
import type { LogoAddresses } from './logo-address.ts';
import type { PageData, PageName } from './pages.ts';
import {
  agoInWords,
  initial,
  lengthOf,
  machineTime,
  timeInWords,
  unbroken,
  waitInWords,
  webUrl,
} from './page-words.ts';
import { contentSecurityPolicy } from './response-headers.ts';

/** A file that pages load. Its path changes with its content, so caches may keep it for ever. */
export interface Asset {
  readonly path: string;
  readonly type: string;
  readonly body: string;
}

export interface Views {
  readonly assets: readonly Asset[];
  /** @returns the page as a whole HTML document */
  render<Name extends PageName>(page: Name, data: PageData[Name]): string;
}

/**
 * Reads and compiles all templates of a directory, so that a broken template fails the start and not a request.
 * @param options.brand the server's name on its pages
 */
export function loadViews(options: { directory: string; brand: string; logoPath: LogoAddresses['pathOf'] }): Views {
  const { directory, brand, logoPath } = options;
  const eta = new Eta({ autoEscape: true });
  for (const file of readdirSync(directory)) {
    if (file.endsWith('.eta'))
      eta.loadTemplate(`@${basename(file, '.eta')}`, readFileSync(join(directory, file), 'utf8'));
  }
  const style = loadAsset(directory, 'style', '.css', 'text/css; charset=utf-8');
  const script = loadAsset(directory, 'page', '.js', 'text/javascript; charset=utf-8');
  const icon = loadAsset(directory, 'key', '.svg', 'image/svg+xml');
  const helpers = {
    brand,
    stylePath: style.path,
    scriptPath: script.path,
    iconPath: icon.path,
    webUrl,
    logoPath,
    initial,
    lengthOf,
    unbroken,
    waitInWords,
    agoInWords,
    timeInWords,
    machineTime,
  };
  return {
    assets: [style, script, icon],
    render: (page, data) => eta.render(`@${page}`, { ...data, ...helpers }),
  };
}

function loadAsset(directory: string, name: string, extension: string, type: string): Asset {
  const body = readFileSync(join(directory, name + extension), 'utf8');
  return { path: `/assets/${name}.${sha256(body).slice(0, 16)}${extension}`, type, body };
}

interface PageOptions {
  status?: number;
  /** Addresses to which the page's forms may lead, besides this server. */
  formTargets?: readonly string[];
  /** Origins that the page may load in frames. */
  frames?: readonly string[];
}

/** Answers with a page, which no cache may store. If `status` is absent, the status that is already set stays. */
export function showPage(
  context: Context,
  html: string,
  { status, formTargets = [], frames = [] }: PageOptions = {},
): void {
  context.set('Cache-Control', 'no-store');
  context.set('Content-Security-Policy', contentSecurityPolicy(formTargets, frames));
  if (status !== undefined) context.status = status;
  context.type = 'html';
  context.body = html;
}

/** Redirects to another page, so that a reload does not send the form again. */
export function goTo(context: Context, url: string): void {
  context.set('Cache-Control', 'no-store');
  context.status = 303;
  context.redirect(url);
}
