/** Longest side of a picture in pixels, because a small file can claim a size that exhausts a browser. */
const LONGEST_SIDE = 2048;

interface Picture {
  type: string;
  width: number;
  height: number;
}

/**
 * Returns a picture's type by its content: PNG, JPEG, WebP or GIF. SVG is excluded because it is a document. @returns
 * undefined for anything else, and for a size that is unreadable or too large
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

/** RFC 9649 §2.5 to §2.7. */
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
