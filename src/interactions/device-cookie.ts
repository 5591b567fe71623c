import type { Context } from 'koa';
import { KNOWN_DEVICE_LIFE } from '../credentials/known-device.ts';

/** Names a device from which somebody has signed in; opens nothing by itself, and needs no signature of ours. */
const name = (context: Context): string => (context.secure ? '__Host-device' : 'device');

export function deviceToken(context: Context): string | undefined {
  return context.cookies.get(name(context), { signed: false });
}

export function rememberDevice(context: Context, token: string): void {
  context.cookies.set(name(context), token, {
    signed: false,
    httpOnly: true,
    sameSite: 'lax',
    secure: context.secure,
    maxAge: KNOWN_DEVICE_LIFE * 1000,
    overwrite: true,
  });
}
