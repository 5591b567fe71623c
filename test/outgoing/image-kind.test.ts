import assert from 'node:assert/strict';
import { imageType } from '../../src/outgoing/logos.ts';

const webp = (kind: string, ...bytes: number[]): Buffer =>
  Buffer.concat([Buffer.from(`RIFF\0\0\0\0WEBP${kind}`), Buffer.alloc(4), Buffer.from(bytes), Buffer.alloc(16)]);
const jpeg = (height: number, width: number): Buffer =>
  Buffer.from([
    ...[0xff, 0xd8, 0xff, 0xe0, 0, 4, 1, 2, 0xff, 0xc0, 0, 17, 8],
    ...[height >> 8, height & 255, width >> 8, width & 255, 3],
  ]);
const gif = (...sides: number[]): Buffer => Buffer.concat([Buffer.from('GIF89a'), Buffer.from(sides), Buffer.alloc(9)]);

describe('The media type of a picture', () => {
  const pictures: [what: string, bytes: Buffer, type: string | undefined][] = [
    ['a JPEG', jpeg(64, 64), 'image/jpeg'],
    ['a JPEG with too many pixels', jpeg(60_000, 64), undefined],
    ['a JPEG without a frame', Buffer.from([0xff, 0xd8, 0xff, 0xe0, 0, 2, 0, 0, 0, 0, 0, 0]), undefined],
    ['a JPEG of endless segments', Buffer.concat([Buffer.from([0xff, 0xd8]), Buffer.alloc(90_000, 0xff)]), undefined],
    ['a GIF', gif(16, 0, 16, 0), 'image/gif'],
    ['a GIF without a width', gif(0, 0, 16, 0), undefined],
    ['a WebP', webp('VP8X', 0, 0, 0, 0, 63, 0, 0, 63, 0, 0), 'image/webp'],
    ['a lossless WebP', webp('VP8L', 0x2f, 63, 0, 0, 0), 'image/webp'],
    ['a WebP with too many pixels', webp('VP8X', 0, 0, 0, 0, 255, 255, 255, 0, 0, 0), undefined],
    ['an SVG', Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>'), undefined],
    ['an HTML page', Buffer.from('<!doctype html><script>alert(1)</script>'), undefined],
    ['an empty file', Buffer.alloc(0), undefined],
    ['the beginning of a PNG', Buffer.from('\x89PNG\r\n\x1A\n', 'latin1'), undefined],
  ];
  for (const [what, bytes, type] of pictures) {
    it(`The media type for ${what} is ${type ?? 'none'}`, () => {
      assert.equal(imageType(bytes), type);
    });
  }
});
