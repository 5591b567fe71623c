import argon2 from 'argon2';
import { costOfHash } from '../../src/credentials/hashing.ts';

/** Does the work and says what its password hashes cost, as `m=…,t=…,p=…`, in a fixed order. */
export async function hashWork(work: () => Promise<unknown>): Promise<string[]> {
  const { hash, verify } = argon2;
  const costs: string[] = [];
  Object.assign(argon2, {
    hash: async (...given: Parameters<typeof hash>) => {
      const made = await hash(...given);
      costs.push(costOfHash(made));
      return made;
    },
    verify: (...given: Parameters<typeof verify>) => {
      costs.push(costOfHash(given[0]));
      return verify(...given);
    },
  });
  try {
    await work();
  } finally {
    Object.assign(argon2, { hash, verify });
  }
  return costs.toSorted();
}
