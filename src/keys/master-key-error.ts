export type MasterKeyFault = 'missing' | 'malformed' | 'exposed' | 'inaccessible' | 'wrong' | 'damaged';

/** Thrown if the master key cannot be used. The message names the file and the remedy for the operator. */
export class MasterKeyError extends Error {
  override name = 'MasterKeyError';
  readonly reason: MasterKeyFault;

  constructor(reason: MasterKeyFault, message: string, options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
  }

  static missing(path: string): MasterKeyError {
    return new MasterKeyError(
      'missing',
      `There is no master key at ${path}. Put yours back, or create one for a new installation as keys/README.md shows.`,
    );
  }

  /** Describes a missing key in a restore, for which a new key would be of no use. */
  static missingForBackup(path: string): MasterKeyError {
    return new MasterKeyError(
      'missing',
      `There is no master key at ${path}. Put back the master.key of the old installation; a new one cannot open this backup.`,
    );
  }

  static malformed(path: string): MasterKeyError {
    return new MasterKeyError(
      'malformed',
      `${path} does not hold a master key: it must be 32 random bytes as 43 characters of base64url. ` +
        'Put yours back, or create one for a new installation as keys/README.md shows.',
    );
  }

  static exposed(path: string, mode: number): MasterKeyError {
    const bits = (mode & 0o777).toString(8).padStart(4, '0');
    return new MasterKeyError(
      'exposed',
      `${path} is open to other users of this machine (mode ${bits}). Run: chmod 600 ${path}`,
    );
  }

  static inaccessible(path: string, cause: unknown): MasterKeyError {
    const detail = cause instanceof Error ? cause.message : String(cause);
    return new MasterKeyError(
      'inaccessible',
      `${path} cannot be read or created: ${detail}. The user that runs Latchkey must own the file and its directory.`,
      { cause },
    );
  }

  /** @param sealedUnder the id of the master key that the stored secret names */
  static wrong(path: string, id: string, sealedUnder: string): MasterKeyError {
    return new MasterKeyError(
      'wrong',
      `${path} is not the master key of this store: the file holds key ${id}, but the store is sealed under ${sealedUnder}. ` +
        'Put the master key of this store back. If it is lost, keys/README.md says what you can do.',
    );
  }

  /**
   * Describes a change of the master key that was interrupted after the store was resealed, but before the files
   * changed.
   */
  static unfinished(path: string, next: string): MasterKeyError {
    return new MasterKeyError(
      'wrong',
      `${path} is no longer the master key of this store: it is ${next}, because "latchkey keys rewrap" was interrupted. ` +
        'Run that command again to finish.',
    );
  }

  static damaged(path: string, purpose: string, cause: unknown): MasterKeyError {
    return new MasterKeyError(
      'damaged',
      `The record "${purpose}" in the store was damaged or altered: ${path} is the right master key, but does not open it. ` +
        'Restore the records store from a backup.',
      { cause },
    );
  }
}
