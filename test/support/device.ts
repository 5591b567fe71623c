import assert from 'node:assert/strict';
import type { ClientConfig, Config } from '../../src/config/schema.ts';
import type { Browser, Page } from './browser.ts';
import { ALICE, tokenRequest, type Person, type TokenAnswer } from './flows.ts';

export const DEVICE_GRANT = 'urn:ietf:params:oauth:grant-type:device_code';

/** Adds a television to the demo, an app of somebody else's without an address to come back to. */
export function withTelevision(config: Config): Config {
  return { ...config, clients: [...config.clients, ...televisions(config)] };
}

export function televisions({ clients }: Config): ClientConfig[] {
  const [spa, web] = ['demo-notes', 'demo-web'].map((id) => clients.find(({ client_id }) => client_id === id));
  assert.ok(spa !== undefined && web !== undefined);
  const tv = {
    grant_types: [DEVICE_GRANT, 'refresh_token'],
    redirect_uris: [],
    post_logout_redirect_uris: [],
  } as const;
  const base = { ...tv, grant_types: [...tv.grant_types], redirect_uris: [], post_logout_redirect_uris: [] };
  return [
    { ...spa, ...base, client_id: 'tv', client_name: 'Television', first_party: false },
    { ...spa, ...base, client_id: 'radio', client_name: 'Radio', first_party: false },
    { ...web, ...base, client_id: 'box', client_name: 'Box', first_party: true },
  ];
}

export interface Device {
  readonly clientId: string;
  readonly deviceCode: string;
  readonly userCode: string;
  readonly answer: Record<string, unknown>;
}

/** What a device does first: it asks for its codes. */
export async function startDevice(
  issuer: string,
  clientId = 'tv',
  parameters: Record<string, string> = { scope: 'openid profile notes:read' },
): Promise<Device> {
  const isConfidential = clientId === 'box';
  const response = await fetch(new URL('/device_authorization', issuer), {
    method: 'POST',
    headers: isConfidential ? { authorization: basicOf(clientId) } : {},
    body: new URLSearchParams({ ...(isConfidential ? {} : { client_id: clientId }), ...parameters }),
  });
  const answer = (await response.json()) as Record<string, unknown>;
  assert.equal(response.status, 200, JSON.stringify(answer));
  return { clientId, answer, deviceCode: String(answer['device_code']), userCode: String(answer['user_code']) };
}

/** What a device does then, again and again. */
export function poll(issuer: string, device: Device, clientId = device.clientId): Promise<TokenAnswer> {
  const parameters = { grant_type: DEVICE_GRANT, device_code: device.deviceCode };
  if (clientId === 'box') return tokenRequest(issuer, parameters, 'box:demo-web-secret');
  return tokenRequest(issuer, { ...parameters, client_id: clientId });
}

/** A person enters the code. */
export async function enterCode(issuer: string, browser: Browser, userCode: string): Promise<Page> {
  return browser.submit(await browser.visit(`${issuer}/device`), { user_code: userCode });
}

/** A person enters the code, allows the device, and signs in where asked. */
export async function letIn(
  issuer: string,
  browser: Browser,
  device: Pick<Device, 'userCode'>,
  person: Person = ALICE,
): Promise<Page> {
  let page = await browser.submit(await enterCode(issuer, browser, device.userCode), { confirm: 'yes' });
  if (page.html.includes('type="password"')) page = await browser.submit(page, { ...person });
  assert.match(page.html, /Continue on your device/, `${page.url}\n${page.html}`);
  return page;
}

function basicOf(clientId: string): string {
  return `Basic ${Buffer.from(`${clientId}:demo-web-secret`).toString('base64')}`;
}
