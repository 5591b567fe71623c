import type { Provider } from 'oidc-provider';
import type { Config } from '../config/schema.ts';
import { accountClient } from './clients/account-client.ts';
import { engineHandlers, engineStep, replaceStep, type EngineStep, type GrantHandler, type Send } from './internals.ts';

type EngineClass =
  | 'AccessToken'
  | 'Claims'
  | 'Client'
  | 'ClientCredentials'
  | 'ClientKeyStore'
  | 'DeviceCode'
  | 'Grant'
  | 'IdToken'
  | 'OIDCContext'
  | 'Session';

/**
 * A part of the engine that has replaceable members: a class, its prototype, the steps of the endpoint with this route,
 * or the handlers of grant types or response modes. `event` stands for the provider's listeners.
 */
export type Owner =
  EngineClass | `${EngineClass}.prototype` | `steps of ${string}` | 'grant' | 'response mode' | 'event';

/** A replaceable member of one provider. */
interface Member {
  /** Returns the current method. Undefined if there is none, and always for events. */
  read(): unknown;
  write(value: unknown): void;
}

/** Returns the route of an owner that stands for an endpoint's steps, undefined for other owners. */
export function routeOf(owner: Owner): string | undefined {
  return /^steps of (.+)$/.exec(owner)?.[1];
}

/** Finds a member by its owner and its name. */
export function memberOf(provider: Provider, owner: Owner, method: string, config: Config): Member {
  const route = routeOf(owner);
  if (route !== undefined)
    return {
      read: () => engineStep(route, method),
      write: (step) => {
        replaceStep(provider, [route, method], step as EngineStep);
      },
    };
  const { grants, responseModes } = engineHandlers(provider);
  if (owner === 'grant')
    return { read: () => grants.get(method), write: (handler) => grants.set(method, handler as GrantHandler) };
  if (owner === 'response mode')
    return { read: () => responseModes.get(method), write: (send) => responseModes.set(method, send as Send) };
  if (owner === 'event')
    return {
      read: () => undefined,
      write: (listener) => (provider as NodeJS.EventEmitter).on(method, listener as () => void),
    };
  return propertyOf(classPart(provider, owner, config), method);
}

function propertyOf(object: object | undefined, name: string): Member {
  return {
    read: () => object && (Reflect.get(object, name) as unknown),
    write: (value) => Object.assign(object ?? {}, { [name]: value }),
  };
}

/** Returns the class or prototype that an owner names. Undefined if the engine does not have it. */
function classPart(provider: Provider, owner: Owner, config: Config): object | undefined {
  const [name = '', part] = owner.split('.');
  const found = name === 'ClientKeyStore' ? keyStoreClass(provider, config) : (Reflect.get(provider, name) as unknown);
  if (typeof found !== 'function') return undefined;
  return part === undefined ? found : (found as unknown as { prototype: object }).prototype;
}

/** Returns the class of the clients' key stores, which the engine exposes only through an instance. */
function keyStoreClass({ Client }: Provider, config: Config): unknown {
  const EngineClient = Client as unknown as new (metadata: object) => { asymmetricKeyStore?: object };
  return new EngineClient(accountClient(config)).asymmetricKeyStore?.constructor;
}
