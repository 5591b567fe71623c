import type Cookies from 'cookies';
import type { Context, Middleware, Next } from 'koa';
import { Problem } from '../http/problems.ts';
import { ENGINE_COOKIES, routes } from './endpoints.ts';
import type { FoundInteraction, Interactions } from './storage/interactions.ts';

const DEVICE = `${routes.code_verification}/`;
const RESUMING = [`${routes.authorization}/`, DEVICE];

/**
 * Resumes an interaction once, in the browser that began it. The engine identifies an interaction by two cookies, which
 * a sibling subdomain could set. This middleware therefore sends neither cookie to the browser, and ignores both in
 * requests.
 */
export function resumeOnce(interactions: Interactions): Middleware {
  return async (context, next) => {
    Object.defineProperty(context, 'cookies', REPLACED_COOKIES);
    const uid = resumedBy(context);
    if (uid === undefined) {
      await next();
      return;
    }
    const found = await interactions.find(context, uid);
    if (found !== undefined) resumedIn.set(context, found.details.uid);
    if (found !== undefined) await resumeInteraction(interactions, context, found, next);
    // The device page lets the person start again.
    else if (context.path.startsWith(DEVICE)) await next();
    else throw new Problem('interaction-gone', 'the interaction has expired, or another browser began it');
  };
}

async function resumeInteraction(
  interactions: Interactions,
  context: Context,
  found: FoundInteraction,
  next: Next,
): Promise<void> {
  const { uid } = found.details;
  if (!found.isOver) {
    interactions.present(context, found);
    await next().catch(async (error: unknown) => {
      if (interactions.wasUsedIn(context)) await interactions.forget(uid);
      throw error;
    });
    if (interactions.wasUsedIn(context)) {
      await interactions.keepAnswer(context, found);
      return;
    }
    // The engine has not consumed the interaction: it asked another question, or another request was faster.
    const now = await interactions.find(context, uid);
    if (now?.isOver !== true) return;
  }
  if (!(await interactions.repeatAnswer(context, uid))) throw new Problem('interaction-gone', 'it is over');
}

function resumedBy({ method, path }: Context): string | undefined {
  if (method !== 'GET') return undefined;
  const base = RESUMING.find((one) => path.startsWith(one));
  const uid = path.slice(base?.length);
  return base === undefined || uid === '' || uid.includes('/') ? undefined : uid;
}

/** The interaction that a request resumes. */
const resumedIn = new WeakMap<Context, string>();
const replaced = new WeakMap<Context, Context['cookies']>();

/**
 * Keeps the engine's cookies from the browser, and shows the engine only the interaction that a request resumes. Most
 * requests never ask for a cookie, so the replacement is made at the first question.
 */
const REPLACED_COOKIES: PropertyDescriptor & ThisType<Context> = {
  configurable: true,
  get() {
    const found = replaced.get(this);
    if (found !== undefined) return found;
    const koa = Reflect.get(this.app.context, 'cookies', this) as Context['cookies'];
    const own = withoutEngineCookies(koa, () => resumedIn.get(this));
    replaced.set(this, own);
    return own;
  },
};

function withoutEngineCookies(cookies: Context['cookies'], resumed: () => string | undefined): Context['cookies'] {
  const names: readonly string[] = Object.values(ENGINE_COOKIES);
  const own: Context['cookies'] = Object.assign(Object.create(cookies) as Context['cookies'], {
    get(name: string, options?: Cookies.GetOption) {
      if (!names.includes(name)) return cookies.get(name, options);
      return name === ENGINE_COOKIES.resume ? resumed() : undefined;
    },
    set(name: string, value?: string | null, options?: Cookies.SetOption) {
      if (!names.includes(name)) cookies.set(name, value, options);
      return own;
    },
  });
  return own;
}

/** Matches a resume path as the engine's router does. */
const RESUME = new RegExp(`^${routes.authorization}/[^/]+/?$`, 'i');

/**
 * Resumes an authorization request only from its interaction's record. Without a record, the engine would read the
 * request from the query, and send an error to the unchecked redirect URI in it.
 */
export const resumeByRecord: Middleware = (context, next) => {
  if (RESUME.test(context.path)) context.querystring = '';
  return next();
};
