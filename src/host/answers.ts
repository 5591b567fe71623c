import type { Context, Middleware } from 'koa';
import type { Logger } from 'pino';
import { TooBusy } from '../credentials/gate.ts';
import { contentSecurityPolicy } from '../http/content-security-policy.ts';
import { faces, Problem, type ProblemName } from '../http/problems.ts';
import { requestId } from '../http/request-id.ts';
import type { Views } from '../http/view.ts';
import { StoreUnavailable } from '../storage/store.ts';

/** Turns whatever a later step throws into its outer face, and tells the log the inner one. */
export function answerProblems(views: Views, log: Logger): Middleware {
  return async (context, next) => {
    try {
      await next();
    } catch (error) {
      const problem = problemOf(error);
      const { problem: name, message: reason } = problem;
      const line = { requestId: requestId(context), problem: name, reason, ...detail(error) };
      if (name === 'unexpected' || name === 'unavailable') log.error(line, 'a request failed');
      else log.info(line, 'a request was refused');
      show(context, views, problem);
    }
  };
}

function problemOf(error: unknown): Problem {
  if (error instanceof Problem) return error;
  if (error instanceof TooBusy) return new Problem('busy', error.message, { 'Retry-After': String(error.retryAfter) });
  if (error instanceof StoreUnavailable) return new Problem('unavailable', error.message, { 'Retry-After': '5' });
  return new Problem('unexpected', error instanceof Error ? error.message : 'something that is no Error was thrown');
}

function detail(error: unknown): object {
  return error instanceof Problem ? {} : { err: error };
}

/** Everything that no step answered. */
export function answerTheRest(allowedMethods: (path: string) => readonly string[]): Middleware {
  return async (context, next) => {
    await next();
    if (context.status !== 404 || context.body !== undefined) return;
    const allowed = allowedMethods(context.path);
    if (allowed.length === 0) throw new Problem('not-found', 'no such path');
    if (context.method !== 'OPTIONS') {
      throw new Problem('method-not-allowed', `${context.method} is not possible`, { Allow: allowed.join(', ') });
    }
    context.status = 204;
    context.set('Allow', allowed.join(', '));
  };
}

/** After the engine's own answer that it cannot serve now. */
export const adviseRetry: Middleware = async (context, next) => {
  await next();
  if (context.status === 503 && !context.res.hasHeader('Retry-After')) context.set('Retry-After', '5');
};

function show(context: Context, views: Views, problem: Problem): void {
  const face = faces[problem.problem satisfies ProblemName];
  context.status = face.status;
  context.set({ 'Cache-Control': 'no-store', ...problem.headers });
  if (context.accepts('json', 'html') === 'html') {
    const { title, message, hint, error: code } = face;
    context.set('Content-Security-Policy', contentSecurityPolicy([]));
    context.type = 'html';
    context.body = views.render('error', {
      title,
      message,
      code,
      requestId: requestId(context),
      ...(hint && { hint }),
    });
  } else {
    context.body = { error: face.error, error_description: `${face.message} Request ${requestId(context)}.` };
  }
}
