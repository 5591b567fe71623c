import type { Context } from 'koa';
import { contentSecurityPolicy } from './response-headers.ts';

interface PageOptions {
  status?: number;
  /** Addresses to which its forms may lead, besides this server. */
  formTargets?: readonly string[];
  /** Origins that it may load in frames. */
  frames?: readonly string[];
}

/** Answers with a page for one person, which no cache may store. Without a status, the one that is set stays. */
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
