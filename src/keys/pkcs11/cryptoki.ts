import { endianness } from 'node:os';
import koffi, { type KoffiFunc, type LibraryHandle } from 'koffi';
import { SignerUnavailable } from '../external-signing.ts';
import { CKF, CKR, returnValueName } from './constants.ts';
import { struct, ulong, type Struct } from './memory.ts';

/** Indexes of the functions in CK_FUNCTION_LIST (pkcs11f.h), and their parameters. */
const FUNCTIONS = {
  C_Initialize: [0, 'void *'],
  C_Finalize: [1, 'void *'],
  C_GetSlotList: [4, 'uchar', 'void *', 'void *'],
  C_GetTokenInfo: [6, 'ulong', 'void *'],
  C_GetMechanismInfo: [8, 'ulong', 'ulong', 'void *'],
  C_OpenSession: [12, 'ulong', 'ulong', 'void *', 'void *', 'void *'],
  C_CloseSession: [13, 'ulong'],
  C_Login: [18, 'ulong', 'ulong', 'void *', 'ulong'],
  C_DestroyObject: [22, 'ulong', 'ulong'],
  C_GetAttributeValue: [24, 'ulong', 'ulong', 'void *', 'ulong'],
  C_FindObjectsInit: [26, 'ulong', 'void *', 'ulong'],
  C_FindObjects: [27, 'ulong', 'void *', 'ulong', 'void *'],
  C_FindObjectsFinal: [28, 'ulong'],
  C_SignInit: [42, 'ulong', 'void *', 'ulong'],
  C_Sign: [43, 'ulong', 'void *', 'ulong', 'void *', 'void *'],
  C_GenerateKeyPair: [59, 'ulong', 'void *', 'void *', 'ulong', 'void *', 'ulong', 'void *', 'void *'],
} as const satisfies Record<string, readonly [position: number, ...parameters: string[]]>;

type FunctionName = keyof typeof FUNCTIONS;
type Argument = number | bigint | Buffer | Struct | null;
type Native = KoffiFunc<(...given: (number | bigint | Buffer | null)[]) => number>;

/** Thrown if a function of the module does not return CKR_OK. */
export class CryptokiError extends Error {
  override name = 'CryptokiError';
  readonly code: number;

  constructor(functionName: string, code: number) {
    super(`${functionName}: ${returnValueName(code)}`);
    this.code = code;
  }
}

/**
 * A loaded and initialized PKCS #11 module. Its functions run on the thread pool, because a call may wait for the
 * network.
 */
export interface Cryptoki {
  /** Calls a function. @throws CryptokiError if it does not return CKR_OK */
  call(name: FunctionName, ...given: Argument[]): Promise<void>;
  /** Finalizes and reinitializes the module, which drops all sessions. No other call may run meanwhile. */
  restart(): Promise<void>;
}

/**
 * Loads a module. Loading it again returns the same one, because the module belongs to the process and is not unloaded.
 * @throws SignerUnavailable if the file is no such module, or does not initialize
 */
export async function loadCryptoki(path: string): Promise<Cryptoki> {
  refuseOtherLayouts();
  const functionList = functionListOf(path);
  const functions = new Map(
    Object.entries(FUNCTIONS).map(([name, [position, ...parameters]]) => {
      const pointer: unknown = koffi.decode(functionList, VERSION_SIZE + position * POINTER_SIZE, 'void *');
      return [name, koffi.decode(pointer, koffi.proto('ulong', [...parameters])) as Native];
    }),
  );
  const inFlight = new Set<Argument[]>();
  const call: Cryptoki['call'] = (name, ...given) =>
    new Promise((resolve, reject) => {
      const native = functions.get(name);
      if (native === undefined) throw new TypeError(name);
      // The library uses these buffers during the call, so the garbage collector must not free them.
      inFlight.add(given);
      native.async(...given.map(passed), (error: unknown, code) => {
        inFlight.delete(given);
        if (error === null && code === 0) resolve();
        else reject(error instanceof Error ? error : new CryptokiError(name, code));
      });
    });
  await initialize(call, path);
  return {
    call,
    async restart() {
      await call('C_Finalize', null).catch(unless(CKR.CRYPTOKI_NOT_INITIALIZED));
      await initialize(call, path);
    },
  };
}

/** Size of CK_VERSION, padded to the next pointer. */
const VERSION_SIZE = 8;
const POINTER_SIZE = 8;

/**
 * Refuses platforms with another layout. The code lays out structures by hand; Windows packs them, and a short CK_ULONG
 * changes them.
 */
function refuseOtherLayouts(): void {
  const isKnown =
    ['linux', 'darwin'].includes(process.platform) && koffi.sizeof('ulong') === 8 && endianness() === 'LE';
  if (isKnown) return;
  throw new SignerUnavailable(`keys.pkcs11 works on 64-bit Linux and macOS only, not on ${process.platform}`);
}

/** Keeps the libraries referenced. Otherwise the garbage collector would unload them under running threads. */
const loaded = new Set<LibraryHandle>();

function functionListOf(path: string): bigint {
  const list = ulong(0);
  try {
    // Binds the module to its own OpenSSL and not to the one inside Node.
    const library = koffi.load(path, { deep: true });
    const code: unknown = library.func('C_GetFunctionList', 'ulong', ['void *'])(list);
    loaded.add(library);
    if (code !== 0) throw new CryptokiError('C_GetFunctionList', Number(code));
  } catch (error) {
    throw new SignerUnavailable(
      `keys.pkcs11.module ${path} is not a PKCS#11 module that can be loaded: ${reasonOf(error)}. ` +
        'Name the library that the maker of your HSM provides for this machine.',
      { cause: error },
    );
  }
  return list.readBigUInt64LE();
}

async function initialize(call: Cryptoki['call'], path: string): Promise<void> {
  const [noFunction, reserved] = [0, 0];
  const options = struct(noFunction, noFunction, noFunction, noFunction, CKF.OS_LOCKING_OK, reserved);
  try {
    await call('C_Initialize', options).catch(unless(CKR.CRYPTOKI_ALREADY_INITIALIZED));
  } catch (error) {
    throw new SignerUnavailable(
      `keys.pkcs11.module ${path} does not start: ${reasonOf(error)}. Look into its own configuration and log.`,
      { cause: error },
    );
  }
}

/** Returns a handler that ignores one return value, because it is as good as success. */
function unless(code: number): (error: unknown) => void {
  return (error) => {
    if (!(error instanceof CryptokiError) || error.code !== code) throw error;
  };
}

function passed(argument: Argument): number | bigint | Buffer | null {
  return typeof argument === 'object' && argument !== null && 'bytes' in argument ? argument.bytes : argument;
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
