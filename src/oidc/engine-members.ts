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
 * A part of the engine that holds methods: a class, its prototype, the steps of an endpoint by its route, or the handlers
 * of its grant types or of its response modes. `event` stands for the listeners of the provider.
 */
export type Owner =
  EngineClass | `${EngineClass}.prototype` | `steps of ${string}` | 'grant' | 'response mode' | 'event';

/** One place in one provider. */
export interface Member {
  /** Reads the method that stands there; undefined where there is none, and for events. */
  read(): unknown;
  write(value: unknown): void;
}

/** The route of an owner that is the steps of an endpoint. */
export function routeOf(owner: Owner): string | undefined {
  return /^steps of (.+)$/.exec(owner)?.[1];
}

/** Finds the place of a method by its owner and its name. */
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

/** The class or prototype that an owner names; undefined where the engine does not have it. */
function classPart(provider: Provider, owner: Owner, config: Config): object | undefined {
  const [name = '', part] = owner.split('.');
  const found = name === 'ClientKeyStore' ? keyStoreClass(provider, config) : (Reflect.get(provider, name) as unknown);
  if (typeof found !== 'function') return undefined;
  return part === undefined ? found : (found as unknown as { prototype: object }).prototype;
}

/** The class of the clients' key stores, which the engine shows by an instance alone. */
function keyStoreClass({ Client }: Provider, config: Config): unknown {
  const EngineClient = Client as unknown as new (metadata: object) => { asymmetricKeyStore?: object };
  return new EngineClient(accountClient(config)).asymmetricKeyStore?.constructor;
}
