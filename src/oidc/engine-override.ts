import { createRequire } from 'node:module';
import type { Provider } from 'oidc-provider';
import type { Config } from '../config/schema.ts';
import { memberOf, routeOf, type Owner } from './engine-members.ts';
import { forkStep } from './internals.ts';

/** A method of the engine that the server replaces, or an event whose listener changes an answer. */
export interface EngineOverride<Dependencies> {
  readonly owner: Owner;
  readonly method: string;
  /**
   * Number of arguments that the engine's method declares (its `length`), or that the engine passes to an event's
   * listener. `none` stands for a member that the engine reads but does not define.
   */
  readonly arity: number | 'none';
  /** The specification and section that the engine alone does not satisfy, or the attack that it does not prevent. */
  readonly why: string;
  /**
   * Creates the replacement. @param engine the current method: the engine's, or that of an earlier row @returns the new
   * method or listener; `engine` to change nothing, or undefined to add no listener
   */
  readonly install: (engine: never, dependencies: Dependencies) => unknown;
}

type Rows<Dependencies> = readonly EngineOverride<Dependencies>[];

const { version } = createRequire(import.meta.url)('oidc-provider/package.json') as { version: string };

/**
 * Lets each provider replace the steps that the rows name. Call it before a provider is made; later calls change
 * nothing.
 */
export function prepareSteps(rows: Rows<never>): void {
  for (const { owner, method } of rows) {
    const route = routeOf(owner);
    if (route !== undefined) forkStep(route, method);
  }
}

/**
 * Checks that the engine still fits the rows. @throws Error for a method that is missing, has a different number of
 * arguments, or should not exist
 */
export function checkEngine(provider: Provider, rows: Rows<never>, config: Config): void {
  for (const { owner, method, arity } of rows) {
    const found = owner === 'event' ? undefined : memberOf(provider, owner, method, config).read();
    const isAsExpected =
      owner === 'event' || (arity === 'none' ? found === undefined : isFunction(found) && found.length === arity);
    if (isAsExpected) continue;
    const expected = arity === 'none' ? 'no such member' : `a method with ${arity} arguments`;
    const actual = isFunction(found) ? `a method with ${found.length}` : typeof found;
    throw new Error(
      `oidc-provider ${version} does not fit: ${owner} "${method}" must be ${expected}, and is ${actual} (see docs/engine.md)`,
    );
  }
}

/** Installs the rows in order. Of two rows for one method, the later one wraps the earlier one. */
export function installOverrides<Dependencies extends { config: Config }>(
  provider: Provider,
  rows: Rows<Dependencies>,
  dependencies: Dependencies,
): void {
  checkEngine(provider, rows, dependencies.config);
  for (const { owner, method, install } of rows) {
    const member = memberOf(provider, owner, method, dependencies.config);
    const engine = member.read();
    const own = install(engine as never, dependencies);
    if (own !== engine) member.write(own);
  }
}

function isFunction(value: unknown): value is (...given: never[]) => unknown {
  return typeof value === 'function';
}
