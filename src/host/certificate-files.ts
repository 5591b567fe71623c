import { readFileSync, unwatchFile, watchFile } from 'node:fs';
import { createSecureContext } from 'node:tls';
import type { Logger } from 'pino';

/** Polling period in milliseconds. The system's change notices would miss symbolic links, as in Kubernetes. */
const INTERVAL = 1000;
/** Milliseconds to wait after a change, because a renewal writes the two files in turn. */
const SETTLED = 500;

interface CertificateAndKey {
  cert: Buffer;
  key: Buffer;
}

/** A TLS certificate chain and its key in files that another program renews. */
export class CertificateFiles {
  readonly #files: { cert: string; key: string };
  readonly #log: Logger;
  readonly #uses: ((renewed: CertificateAndKey) => void)[] = [];
  #settling: NodeJS.Timeout | undefined;

  constructor(files: { cert: string; key: string }, log: Logger) {
    this.#files = files;
    this.#log = log;
  }

  /** Reads the files. @throws the system's error, or OpenSSL's error if certificate and key do not match */
  read(): CertificateAndKey {
    const { cert, key } = this.#files;
    const read = { cert: readFileSync(cert), key: readFileSync(key) };
    createSecureContext(read);
    return read;
  }

  /** Watches the files. @param use called with each valid new certificate */
  watch(use: (renewed: CertificateAndKey) => void): void {
    this.#uses.push(use);
    if (this.#uses.length > 1) return;
    for (const file of this.#paths()) watchFile(file, { interval: INTERVAL, persistent: false }, this.#changed);
  }

  /** Reads the files again. If they are not valid, logs an error, and the previous certificate stays. */
  reload(): void {
    try {
      const renewed = this.read();
      for (const use of this.#uses) use(renewed);
      this.#log.info(this.#files, 'the TLS certificate was reloaded');
    } catch (err) {
      this.#log.error({ ...this.#files, err }, 'the TLS certificate cannot be reloaded; the previous one stays in use');
    }
  }

  close(): void {
    clearTimeout(this.#settling);
    for (const file of this.#paths()) unwatchFile(file, this.#changed);
  }

  #paths(): string[] {
    return [this.#files.cert, this.#files.key];
  }

  readonly #changed = (): void => {
    clearTimeout(this.#settling);
    this.#settling = setTimeout(() => {
      this.reload();
    }, SETTLED).unref();
  };
}
