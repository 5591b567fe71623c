import type { Context } from 'koa';
import { contentSecurityPolicy } from '../http/response-headers.ts';

/** Answers with a private page, which no cache may store. */
export function showPage(context: Context, html: string, status = 200): void {
  context.set('Content-Security-Policy', contentSecurityPolicy([]));
  context.set('Cache-Control', 'no-store');
  context.status = status;
  context.type = 'html';
  context.body = html;
}

/** Redirects to another page of this server, so that a reload does not send the form again. */
export function goTo(context: Context, path: string): void {
  context.set('Cache-Control', 'no-store');
  context.status = 303;
  context.redirect(path);
}
