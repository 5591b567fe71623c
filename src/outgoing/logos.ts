import type { Clock } from '../lib/clock.ts';
import type { FetchBudget } from './fetch-budget.ts';
import { OutgoingRefused } from './outgoing-fetch.ts';

/** Seconds for which a picture is cached. */
const KEPT = 86_400;
/** Seconds before a failed picture is fetched again. */
const COOLDOWN = 600;
/** Largest total size of all cached pictures in bytes. */
const MOST_BYTES = 16_777_216;
const MOST_PICTURES = 2000;

interface Logo {
  readonly type: string;
  readonly bytes: Buffer;
}

interface Kept {
  /** Resolves to undefined if the picture could not be fetched. */
  logo: Promise<Logo | undefined>;
  bytes: number;
  triedAt: number;
  isMissing: boolean;
}

/**
 * App logos, which the server fetches and checks. So no browser contacts an app's host before the person has agreed.
 */
export class Logos {
  readonly #options: { fetch: typeof fetch; clock: Clock; budget?: FetchBudget };
  /** The least recently used first. */
  readonly #kept = new Map<string, Kept>();
  #bytes = 0;

  constructor(options: { fetch: typeof fetch; clock: Clock; budget?: FetchBudget }) {
    this.#options = options;
  }

  /**
   * Finds the logo at an address.
   * @returns undefined if there is no usable picture; the page then shows the app's initial
   */
  async find(address: string, payer?: string): Promise<Logo | undefined> {
    const known = this.#kept.get(address);
    const age = known === undefined ? Infinity : (this.#options.clock.now() - known.triedAt) / 1000;
    if (known !== undefined && age < (known.isMissing ? COOLDOWN : KEPT)) {
      this.#kept.delete(address);
      this.#kept.set(address, known);
      return known.logo;
    }
    if (this.#options.budget?.take(address, payer) === false) return undefined;
    return this.#keep(address);
  }

  #keep(address: string): Promise<Logo | undefined> {
    this.#drop(address);
    const logo = this.#fetch(address).catch(() => undefined);
    const kept: Kept = { logo, bytes: 0, triedAt: this.#options.clock.now(), isMissing: false };
    this.#kept.set(address, kept);
    return logo.then((found) => {
      kept.isMissing = found === undefined;
      if (this.#kept.get(address) === kept) {
        kept.bytes = found?.bytes.length ?? 0;
        this.#bytes += kept.bytes;
        this.#forget();
      }
      return found;
    });
  }

  async #fetch(address: string): Promise<Logo> {
    const response = await this.#options.fetch(address, {
      headers: { accept: 'image/png, image/jpeg, image/webp, image/gif' },
    });
    const bytes = Buffer.from(await response.arrayBuffer());
    const type = imageType(bytes);
    if (response.status !== 200 || type === undefined) throw new OutgoingRefused(`${address} is no picture`);
    return { type, bytes };
  }

  #drop(address: string): void {
    this.#bytes -= this.#kept.get(address)?.bytes ?? 0;
    this.#kept.delete(address);
  }

  #forget(): void {
    for (const address of this.#kept.keys()) {
      if (this.#bytes <= MOST_BYTES && this.#kept.size <= MOST_PICTURES) return;
      this.#drop(address);
    }
  }
}

/** Longest accepted side of a picture in pixels, because a small file can claim a size that exhausts a browser. */
const LONGEST_SIDE = 2048;

interface Picture {
  type: string;
  width: number;
  height: number;
}

/**
 * Returns the media type of a picture by its content: PNG, JPEG, WebP or GIF. SVG is excluded, because it is a
 * document.
 * @returns undefined for anything else, and for a size that is unreadable or too large
 */
export function imageType(bytes: Buffer): string | undefined {
  const picture = png(bytes) ?? gif(bytes) ?? webp(bytes) ?? jpeg(bytes);
  if (picture === undefined) return undefined;
  const { type, width, height } = picture;
  return width > 0 && height > 0 && Math.max(width, height) <= LONGEST_SIDE ? type : undefined;
}

function png(bytes: Buffer): Picture | undefined {
  if (bytes.length < 24 || bytes.toString('latin1', 0, 8) !== '\x89PNG\r\n\x1A\n') return undefined;
  return { type: 'image/png', width: bytes.readUInt32BE(16), height: bytes.readUInt32BE(20) };
}

function gif(bytes: Buffer): Picture | undefined {
  if (bytes.length < 10 || !/^GIF8[79]a$/.test(bytes.toString('latin1', 0, 6))) return undefined;
  return { type: 'image/gif', width: bytes.readUInt16LE(6), height: bytes.readUInt16LE(8) };
}

/** Reads the header of a WebP picture (RFC 9649 §2.5 to §2.7). */
function webp(bytes: Buffer): Picture | undefined {
  if (bytes.length < 30 || !/^RIFF[^]{4}WEBP$/.test(bytes.toString('latin1', 0, 12))) return undefined;
  const type = 'image/webp';
  switch (bytes.toString('latin1', 12, 16)) {
    case 'VP8X':
      return { type, width: 1 + bytes.readUIntLE(24, 3), height: 1 + bytes.readUIntLE(27, 3) };
    case 'VP8L': {
      const sides = bytes.readUInt32LE(21);
      return { type, width: 1 + (sides & 0x3fff), height: 1 + ((sides >> 14) & 0x3fff) };
    }
    case 'VP8 ':
      return { type, width: bytes.readUInt16LE(26) & 0x3fff, height: bytes.readUInt16LE(28) & 0x3fff };
    default:
      return undefined;
  }
}

/** Finds the frame header among the segments (ITU-T T.81 §B.2.2). */
function jpeg(bytes: Buffer): Picture | undefined {
  if (bytes.length < 4 || bytes.readUInt16BE(0) !== 0xffd8) return undefined;
  for (let at = 2; at + 9 <= bytes.length && bytes[at] === 0xff; at += 2 + bytes.readUInt16BE(at + 2)) {
    const marker = bytes[at + 1] ?? 0;
    const isFrame = marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
    if (isFrame) return { type: 'image/jpeg', width: bytes.readUInt16BE(at + 7), height: bytes.readUInt16BE(at + 5) };
  }
  return undefined;
}
