import { storesAround } from './stores-around.ts';

/** A call of a store, by its verb and its key. */
type IsMeant = (verb: string, key: string) => boolean;

interface Held {
  isMeant: IsMeant;
  reached: PromiseWithResolvers<undefined>;
  released: PromiseWithResolvers<undefined>;
}

/** Stores in which one call of a request can wait until a test has done something else. */
export function holdingStores() {
  let next: Held | undefined;
  const { around, openStores } = storesAround((call, verb, [key]) => {
    const held = next;
    if (held?.isMeant(verb, String(key)) !== true) return call();
    next = undefined;
    held.reached.resolve(undefined);
    return held.released.promise.then(call);
  });

  /** Begins a request, and does something else before the first call that is meant. @throws Error if there is none */
  async function meanwhile<T>(request: () => Promise<T>, isMeant: IsMeant, others: () => Promise<unknown>): Promise<T> {
    const held: Held = { isMeant, reached: Promise.withResolvers(), released: Promise.withResolvers() };
    next = held;
    const answered = request();
    const isOver = await Promise.race([held.reached.promise, answered.then(() => true)]);
    next = undefined;
    if (isOver === true) throw new Error('the request ended without the call that is to wait');
    await others().finally(() => held.released.resolve(undefined));
    return answered;
  }

  return { around, openStores, meanwhile };
}
