import assert from 'node:assert/strict';
import { compactVerify, importJWK, type JWK } from 'jose';
import type { SigningAlgorithm } from '../../src/config/schema.ts';
import { Secret } from '../../src/config/secret.ts';
import { SignerUnavailable, type ExternalSigner } from '../../src/keys/external-signing.ts';
import { CKA, CKO_PRIVATE_KEY } from '../../src/keys/pkcs11/constants.ts';
import { loadCryptoki } from '../../src/keys/pkcs11/cryptoki.ts';
import { ulong } from '../../src/keys/pkcs11/memory.ts';
import { openPkcs11Signer } from '../../src/keys/pkcs11/pkcs11-signer.ts';
import type { Session } from '../../src/keys/pkcs11/sessions.ts';
import { Token } from '../../src/keys/pkcs11/token.ts';
import { freshToken, withoutHsm, type Pkcs11 } from '../support/softhsm.ts';

const ALGORITHMS = ['RS256', 'PS256', 'ES256', 'EdDSA'] as const satisfies SigningAlgorithm[];
const OWNER = 'a ring';

/** What is signed, as a token's head and body, and the proof that its receiver would make. */
function sample(alg: SigningAlgorithm): {
  data: Buffer;
  verify: (signature: Uint8Array, key: JWK) => Promise<unknown>;
} {
  const [head, body] = [JSON.stringify({ alg }), '{"sub":"alice"}'].map((part) =>
    Buffer.from(part).toString('base64url'),
  );
  const data = Buffer.from(`${head}.${body}`);
  return {
    data,
    verify: async (signature, key) =>
      compactVerify(`${data.toString()}.${Buffer.from(signature).toString('base64url')}`, await importJWK(key, alg)),
  };
}

describe('An HSM behind PKCS#11', () => {
  let options: Pkcs11;
  let signer: ExternalSigner;

  before(async () => {
    options = freshToken();
    signer = await openPkcs11Signer(options, ALGORITHMS);
  });
  after(() => signer.close());

  for (const alg of ALGORITHMS) {
    it(`The HSM creates ${alg} keys and its signatures are valid for JWS`, async () => {
      const { data, verify } = sample(alg);
      const key = await signer.generate(alg, `key_${alg}`, OWNER);
      const signature = await signer.sign(`key_${alg}`, alg, data);
      await verify(signature, key);
      await assert.rejects(verify(signature.map((byte) => byte ^ 1), key), /signature verification failed/); // prettier-ignore
    });
  }

  it('The HSM creates RSA keys of 2048 bits', async () => {
    const { n = '' } = await signer.generate('RS256', 'key_bits', OWNER);
    assert.equal(Buffer.from(n, 'base64url').length, 256);
  });

  it('The HSM signs a hundred texts at once, each with a valid signature', async () => {
    const made = new Map<SigningAlgorithm, JWK>();
    for (const alg of ALGORITHMS) made.set(alg, await signer.generate(alg, `key_many_${alg}`, OWNER));
    const all = Array.from({ length: 100 }, (_, index) => ALGORITHMS[index % ALGORITHMS.length] ?? 'RS256');
    await Promise.all(
      all.map(async (alg) => {
        const { data, verify } = sample(alg);
        const key = made.get(alg);
        assert.ok(key !== undefined);
        await verify(await signer.sign(`key_many_${alg}`, alg, data), key);
      }),
    );
  });

  it('The PKCS#11 signer lists the keys of one ring and destroys them permanently', async () => {
    await signer.generate('ES256', 'key_mine', 'my ring');
    await signer.generate('ES256', 'key_theirs', 'their ring');
    assert.deepEqual(await signer.names('my ring'), ['key_mine']);
    await signer.destroy('key_mine');
    assert.deepEqual(await signer.names('my ring'), []);
    assert.deepEqual(await signer.names('their ring'), ['key_theirs']);
    await assert.rejects(signer.sign('key_mine', 'ES256', Buffer.from('a')), /the HSM has no key key_mine$/);
    await signer.destroy('key_mine');
  });

  it('The PKCS#11 signer lists more keys than one search returns', async () => {
    for (let index = 0; index < 18; index++) await signer.generate('ES256', `key_${index}`, 'a large ring');
    assert.equal(new Set(await signer.names('a large ring')).size, 18);
  });

  it('The PKCS#11 signer has one key per name, even if a first attempt was interrupted', async () => {
    const { data, verify } = sample('ES256');
    await signer.generate('ES256', 'key_twice', OWNER);
    const key = await signer.generate('ES256', 'key_twice', OWNER);
    await verify(await signer.sign('key_twice', 'ES256', data), key);
  });

  describe('Private halves in the token', () => {
    let session: Session;
    let key: bigint;

    before(async () => {
      await signer.generate('RS256', 'key_kept', OWNER);
      session = await new Token(await loadCryptoki(options.module), options).open();
      const found = await session.find([
        [CKA.CLASS, ulong(CKO_PRIVATE_KEY)],
        [CKA.ID, Buffer.from('key_kept')],
      ]);
      assert.equal(found.length, 1);
      key = found[0] ?? 0n;
    });
    after(() => session.close());

    const MARKS = { TOKEN: 1, PRIVATE: 1, SENSITIVE: 1, EXTRACTABLE: 0, NEVER_EXTRACTABLE: 1, SIGN: 1 } as const;
    for (const [name, value] of Object.entries(MARKS)) {
      it(`The private half has CKA_${name} ${value === 1}`, async () => {
        assert.deepEqual([...(await session.read(key, CKA[name as keyof typeof MARKS]))], [value]);
      });
    }

    it('The private half cannot be read, even after login', async () => {
      const privateExponent = 0x123;
      await assert.rejects(session.read(key, privateExponent), { name: 'CryptokiError', code: 0x11 });
    });

    it('The private half is the only object of its key in the token', async () => {
      assert.deepEqual(await session.find([[CKA.ID, Buffer.from('key_kept')]]), [key]);
    });
  });

  it('The PKCS#11 signer reports that the HSM is away and recovers when it is back', async () => {
    const { data, verify } = sample('ES256');
    const key = await signer.generate('ES256', 'key_stays', OWNER);
    await withoutHsm(async () => {
      for (let n = 0; n < 2; n++) await assert.rejects(signer.sign('key_stays', 'ES256', data), SignerUnavailable);
    });
    await verify(await signer.sign('key_stays', 'ES256', data), key);
  });

  describe('Start with an unusable token', () => {
    const reasonFor = async (
      change: Partial<Pkcs11>,
      algorithms: readonly SigningAlgorithm[] = [],
    ): Promise<string> => {
      try {
        await (await openPkcs11Signer({ ...options, ...change }, algorithms)).close();
      } catch (error) {
        assert.ok(error instanceof SignerUnavailable, String(error));
        return error.message;
      }
      assert.fail('it opened');
    };

    it('The PKCS#11 signer does not open if the module is no library', async () => {
      assert.match(
        await reasonFor({ module: import.meta.filename }),
        /^keys\.pkcs11\.module \S+pkcs11\.test\.ts is not a PKCS#11 module that can be loaded: .+ Name the library that the maker of your HSM provides for this machine\.$/,
      );
    });

    it('The PKCS#11 signer does not open if the token does not exist', async () => {
      assert.match(
        await reasonFor({ token: 'another' }),
        /^keys\.pkcs11\.token "another" is not there: \S+ has ("latchkey test \d+", )+/,
      );
    });

    it('The PKCS#11 signer does not open if the PIN is wrong', async () => {
      const { token } = freshToken();
      assert.equal(
        await reasonFor({ token, pin: new Secret('0000') }),
        `keys.pkcs11.pin: token "${token}" refuses the PIN. It counts wrong PINs and locks itself, so set the right one before the next start.`,
      );
    });

    it('The PKCS#11 signer does not open if the token does not support an algorithm', async () => {
      assert.match(await reasonFor({}, ['ES256', 'ML-DSA-44']), /PKCS#11 has no ML-DSA-44/);
    });
  });

  it('The PKCS#11 signer never sends a refused PIN to the token again', async () => {
    const wrong = { ...freshToken(), pin: new Secret('0000') };
    const token = new Token(await loadCryptoki(wrong.module), wrong);
    const refusal = async (): Promise<unknown> => token.open().catch((error: unknown) => error);
    const first = await refusal();
    assert.ok(first instanceof SignerUnavailable);
    assert.equal(await refusal(), first, 'the same refusal, not another attempt');
  });
});
