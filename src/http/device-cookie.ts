import type { Context } from 'koa';

/** Cookie that identifies a known device. It grants no access and needs no signature. */
const name = (context: Context): string => (context.secure ? '__Host-device' : 'latchkey_device');

export function deviceToken(context: Context): string | undefined {
  return context.cookies.get(name(context), { signed: false });
}

/** @param life in seconds */
export function rememberDevice(context: Context, token: string, life: number): void {
  context.cookies.set(name(context), token, {
    signed: false,
    httpOnly: true,
    sameSite: 'lax',
    secure: context.secure,
    maxAge: life * 1000,
    overwrite: true,
  });
}
