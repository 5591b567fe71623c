import type { Context, Middleware } from 'koa';
import { errors, Provider as Engine, type KoaContextWithOIDC, type Provider } from 'oidc-provider';
import type { AnsweredForms, SentForm } from '../forms/answered-forms.ts';
import { browsersOf } from '../http/browser-cookies.ts';

const FORMS: readonly string[] = ['code_verification', 'end_session_confirm'];
const FIELDS = ['user_code', 'confirm', 'abort', 'logout'];

/**
 * Repeats the first answer for a second click on one of the engine's own forms, which confirm a device or a sign-out.
 * The engine parses the form, so this middleware can read the fields only after the engine has run.
 */
export function answerEngineFormsOnce(forms: AnsweredForms): Middleware {
  return async (context, next) => {
    await next();
    if (!isEngines(context)) return;
    const form = begun.get(context) ?? sentForm(context);
    if (form === undefined) return;
    if (isDone(context)) await forms.keep(context, form);
    else if (begun.has(context)) await forms.release(form);
    else if (answersDevice(context) || context.oidc.route === 'end_session_confirm') await forms.repeat(context, form);
  };
}

/**
 * Forms that are being handled, by request. They are remembered because the engine later replaces the form's parameters
 * with those of the device's request.
 */
const begun = new WeakMap<object, SentForm>();

/**
 * Wraps the engine's lookup of a user code, so that only the first of two clicks on a device's form is handled. By then
 * the engine has checked the form's token, but has not acted on the form.
 */
export function beginForm(
  engine: FindByUserCode,
  { forms, provider }: { forms: AnsweredForms; provider: Provider },
): FindByUserCode {
  return async (...code) => {
    const context = Engine.ctx;
    const form = context && sentForm(context);
    if (context !== undefined && form !== undefined && answersDevice(context)) {
      if (!(await forms.begin(context, form))) throw new errors.InvalidRequest('the form was already sent');
      begun.set(context, form);
    }
    return engine.apply(provider.DeviceCode, code);
  };
}

type FindByUserCode = Provider['DeviceCode']['findByUserCode'];

/** Tells whether the engine accepted this POST request. It sets `context.oidc` once one of its routes matches. */
function isEngines(context: Context): context is KoaContextWithOIDC {
  return context.method === 'POST' && context['oidc'] !== undefined;
}

/** Returns the form that this request sent, if any. A browser without a cookie was never shown a form. */
function sentForm(context: KoaContextWithOIDC): SentForm | undefined {
  const { route, params = {} } = context.oidc;
  const token = params['xsrf'];
  if (!FORMS.includes(route) || typeof token !== 'string' || browsersOf(context).length === 0) return undefined;
  return { token: `${route} ${token}`, fields: FIELDS.map((name) => [name, String(params[name])] as const) };
}

/** Tells whether the person confirmed or aborted. Entering a code is not an answer yet. */
function answersDevice({ oidc: { params } }: KoaContextWithOIDC): boolean {
  return (params?.['confirm'] ?? params?.['abort']) !== undefined;
}

/**
 * Tells whether the form has its final answer: the sign-out succeeded or was declined, the engine redirected the person
 * to an interaction, or the device code has its result.
 */
function isDone({ status, oidc }: KoaContextWithOIDC): boolean {
  if (oidc.route === 'end_session_confirm') return status < 400;
  const code = oidc.entities.DeviceCode;
  return status === 303 || (code?.error ?? code?.accountId) !== undefined;
}
