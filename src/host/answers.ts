import type { Context, Middleware } from 'koa';
import type { Logger } from 'pino';
import { TooBusy } from '../limits/semaphore.ts';
import { showPage, type Views } from '../http/view.ts';
import { faces, Problem, type ProblemName, type Way } from '../http/problems.ts';
import { requestId } from '../http/request-facts.ts';
import { letOriginRead } from './machine-endpoints.ts';
import { StoreUnavailable } from '../storage/store.ts';

/** Minimum time in milliseconds between two warnings that strangers can cause. */
const WARNING_PERIOD = 60_000;

/**
 * Limits warnings to one a minute. A misconfigured proxy deserves a warning, but strangers can send wrong hosts on
 * purpose.
 */
function oncePerMinute(): () => boolean {
  let last = -Infinity;
  return () => {
    const now = performance.now();
    if (now - last < WARNING_PERIOD) return false;
    last = now;
    return true;
  };
}

/** Catches the errors of later middleware: the client gets the public part, and the log gets the internal reason. */
export function answerProblems(views: Views, log: Logger): Middleware {
  const pages = problemPages(views);
  const mayWarn = oncePerMinute();
  return async (context, next) => {
    try {
      await next();
    } catch (error) {
      const problem = problemOf(error);
      const { problem: name, message: reason } = problem;
      const line = { requestId: requestId(context), problem: name, reason, ...detail(error) };
      if (name === 'unexpected' || name === 'unavailable') log.error(line, 'a request failed');
      else if (name === 'unknown-host' && mayWarn()) log.warn(line, 'a request was refused');
      else log.info(line, 'a request was refused');
      show(context, pages, problem);
    }
  };
}

function problemOf(error: unknown): Problem {
  if (error instanceof Problem) return error;
  if (error instanceof TooBusy) return new Problem('busy', error.message, { 'Retry-After': String(error.retryAfter) });
  if (error instanceof StoreUnavailable) return new Problem('unavailable', error.message, { 'Retry-After': '5' });
  return new Problem('unexpected', error instanceof Error ? error.message : 'a value that is not an Error was thrown');
}

function detail(error: unknown): object {
  // Strangers can cause these errors at will, so the log line has their reason but no stack trace.
  return error instanceof Problem || error instanceof TooBusy ? {} : { err: error };
}

/** Answers every request that later middleware left unanswered: by 404, by 405, or by 204 for OPTIONS. */
export function answerTheRest(allowedMethods: (path: string) => readonly string[]): Middleware {
  return async (context, next) => {
    await next();
    if (context.status !== 404 || context.body !== undefined) return;
    const allowed = allowedMethods(context.path);
    if (allowed.length === 0) throw new Problem('not-found', 'no such path');
    if (context.method !== 'OPTIONS') {
      throw new Problem('method-not-allowed', `the path does not accept ${context.method}`, {
        Allow: allowed.join(', '),
      });
    }
    context.status = 204;
    context.set('Allow', allowed.join(', '));
  };
}

/** Adds `Retry-After` to the 503 responses that the engine makes itself. */
export const adviseRetry: Middleware = async (context, next) => {
  await next();
  if (context.status === 503 && !context.res.hasHeader('Retry-After')) context.set('Retry-After', '5');
};

function show(context: Context, pages: ProblemPages, problem: Problem): void {
  const face = faces[problem.problem satisfies ProblemName];
  context.status = face.status;
  context.set({ 'Cache-Control': 'no-store', ...problem.headers });
  letOriginRead(context);
  if (context.accepts('json', 'html') === 'html') {
    showPage(context, pages(problem, requestId(context)));
  } else {
    context.body = { error: face.error, error_description: `${face.message} Request ${requestId(context)}.` };
  }
}

type ProblemPages = (problem: Problem, requestId: string) => string;

/** Placeholder for the request id, which is the only difference between two pages of the same problem. */
const ID = 'REQUEST-ID';

/**
 * Renders the page of each problem once, because refusing a flood must cost next to nothing. A problem with its own
 * link is rendered each time.
 */
function problemPages(views: Views): ProblemPages {
  const rendered = new Map<ProblemName, string>();
  return ({ problem: name, way }, id) => {
    const page = (way === undefined ? rendered.get(name) : undefined) ?? render(views, name, way);
    if (way === undefined) rendered.set(name, page);
    return page.replaceAll(ID, id);
  };
}

function render(views: Views, name: ProblemName, own: Way | undefined): string {
  const { title, message, hint, error: code, way = own } = faces[name];
  return views.render('error', {
    title,
    message,
    // If the page has a link to continue, the technical code does not help the person.
    ...(way === undefined ? { code } : { link: own ?? way }),
    requestId: ID,
    ...(hint && { hint }),
  });
}
