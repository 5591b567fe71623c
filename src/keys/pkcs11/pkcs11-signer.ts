import type { JWK } from 'jose';
import type { SigningAlgorithm } from '../../config/schema.ts';
import { SignerUnavailable, type ExternalSigner } from '../external-signing.ts';
import { CKA, CKF, CKO_PRIVATE_KEY } from './constants.ts';
import { CryptokiError, loadCryptoki } from './cryptoki.ts';
import { bool, ulong, type Attribute } from './memory.ts';
import { recipes, type Recipe } from './recipes.ts';
import { type Handle, type Session, Sessions } from './sessions.ts';
import { Token, type TokenOptions } from './token.ts';

/**
 * Opens an HSM token through its PKCS #11 module, and logs in.
 * @param algorithms the algorithms for which the token must be able to make keys
 * @throws SignerUnavailable if the module or the token cannot be used, or the token refuses the PIN or lacks an
 * algorithm
 */
export async function openPkcs11Signer(
  options: TokenOptions,
  algorithms: readonly SigningAlgorithm[],
): Promise<ExternalSigner> {
  const cryptoki = await loadCryptoki(options.module);
  const token = new Token(cryptoki, options);
  const sessions = new Sessions(
    () => token.open(),
    () => cryptoki.restart(),
  );
  // Opens a session, so that a wrong PIN stops the start and not the first sign-in.
  await sessions.run(() => Promise.resolve());
  try {
    for (const alg of algorithms) await requireMechanisms(token, alg, options);
  } catch (error) {
    await sessions.close();
    throw error;
  }
  return {
    generate: (alg, name, owner) => sessions.run((session) => generate(session, recipeOf(alg), name, owner)),
    sign: (name, alg, data) => sessions.run((session) => sign(session, recipeOf(alg), name, data)),
    names: (owner) => sessions.run((session) => names(session, owner)),
    destroy: (name) => sessions.run((session) => destroy(session, name)),
    close: () => sessions.close(),
  };
}

async function requireMechanisms(token: Token, alg: SigningAlgorithm, options: TokenOptions): Promise<void> {
  const { generation, signing } = recipeOf(alg);
  if ((await token.can(generation, CKF.GENERATE_KEY_PAIR)) && (await token.can(signing, CKF.SIGN))) return;
  throw new SignerUnavailable(
    `keys.pkcs11.token ${JSON.stringify(options.token)} does not support ${alg}: remove it from keys.algorithms, or set keys.signer to ring.`,
  );
}

function recipeOf(alg: SigningAlgorithm): Recipe {
  const recipe = recipes[alg];
  if (recipe === undefined) throw new SignerUnavailable(`PKCS#11 has no ${alg}`);
  return recipe;
}

async function generate(session: Session, recipe: Recipe, name: string, owner: string): Promise<JWK> {
  // Removes what an earlier attempt left behind, if it failed halfway.
  await destroy(session, name);
  const named: Attribute[] = [
    [CKA.ID, Buffer.from(name)],
    [CKA.LABEL, Buffer.from(owner)],
  ];
  const publicKey = await firstOf(recipe.publicHalf, (parameters) =>
    // The public key is read at once, and is not needed in the token afterwards.
    session.generate(
      recipe.generation,
      [...named, ...parameters, [CKA.TOKEN, bool(false)], [CKA.VERIFY, bool(true)]],
      [...named, ...PRIVATE_HALF],
    ),
  );
  const publicJwk = await recipe.publicJwk((attribute) => session.read(publicKey, attribute));
  await session.destroy(publicKey);
  return publicJwk;
}

/** Attributes of the private key. It stays in the token, cannot be read, and can only sign. */
const PRIVATE_HALF: readonly Attribute[] = [
  [CKA.TOKEN, bool(true)],
  [CKA.PRIVATE, bool(true)],
  [CKA.SENSITIVE, bool(true)],
  [CKA.EXTRACTABLE, bool(false)],
  [CKA.SIGN, bool(true)],
];

/** Tries the alternatives in order. @returns the result of the first one that the token supports */
async function firstOf<W, T>(ways: readonly W[], go: (way: W) => Promise<T>): Promise<T> {
  const [way, ...others] = ways;
  if (way === undefined) throw new SignerUnavailable('the HSM cannot make such a key');
  try {
    return await go(way);
  } catch (error) {
    if (!(error instanceof CryptokiError) || others.length === 0) throw error;
    return firstOf(others, go);
  }
}

async function sign(session: Session, recipe: Recipe, name: string, data: Uint8Array): Promise<Buffer> {
  const key = session.keys.get(name) ?? onlyOne(await session.find(privateHalf(CKA.ID, name)), name);
  session.keys.set(name, key);
  return session.sign(recipe.mechanism(), key, recipe.input(data));
}

function onlyOne([found, another]: readonly Handle[], name: string): Handle {
  if (found === undefined) throw new SignerUnavailable(`the HSM has no key ${name}`);
  if (another !== undefined) throw new SignerUnavailable(`the HSM has several keys ${name}`);
  return found;
}

async function names(session: Session, owner: string): Promise<string[]> {
  const found = await session.find(privateHalf(CKA.LABEL, owner));
  return (await session.readAll(found, CKA.ID)).map(String);
}

async function destroy(session: Session, name: string): Promise<void> {
  for (const object of await session.find([[CKA.ID, Buffer.from(name)]])) await session.destroy(object);
}

function privateHalf(attribute: number, value: string): Attribute[] {
  return [
    [CKA.CLASS, ulong(CKO_PRIVATE_KEY)],
    [attribute, Buffer.from(value)],
  ];
}
