import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { viewsDirectory } from '../support/rendered-pages.ts';

/** Text on its ground: WCAG 2.2 §1.4.3 asks for 4.5 to 1. */
const TEXT = [
  ['ink', 'page'],
  ['ink', 'surface'],
  ['ink', 'raised'],
  ['muted', 'surface'],
  ['muted', 'raised'],
  ['accent', 'surface'],
  ['accent-hover', 'surface'],
  ['on-accent', 'accent'],
  ['on-accent', 'accent-hover'],
  ['danger', 'surface'],
  ['danger', 'danger-surface'],
] as const;

/** Edges of controls and focus rings: WCAG 2.2 §1.4.11 asks for 3 to 1. */
const EDGES = [
  ['control', 'surface'],
  ['accent', 'surface'],
  ['accent', 'raised'],
  ['muted', 'raised'],
  ['danger', 'surface'],
] as const;

const style = readFileSync(join(viewsDirectory, 'style.css'), 'utf8');
const [light = '', dark = ''] = [...style.matchAll(/:root \{([^}]*)\}/g)].map(([, block = '']) => block);

for (const [scheme, block] of Object.entries({ light, dark })) {
  describe(`The ${scheme} colours`, () => {
    const colour = (name: string): string => {
      const [, value] = new RegExp(`--${name}: (#[0-9a-f]{6});`).exec(block) ?? [];
      assert.ok(value, `--${name} is not set`);
      return value;
    };
    const rows = [...TEXT.map((pair) => ({ pair, least: 4.5 })), ...EDGES.map((pair) => ({ pair, least: 3 }))];
    for (const { pair, least } of rows) {
      it(`The ${scheme} colour ${pair[0]} on ${pair[1]} has a contrast of at least ${least}`, () => {
        const ratio = contrast(colour(pair[0]), colour(pair[1]));
        assert.ok(ratio >= least, `only ${ratio.toFixed(2)}`);
      });
    }
  });
}

/** The contrast ratio as WCAG 2.2 defines it: 1 to 21. */
function contrast(a: string, b: string): number {
  const [high = 0, low = 0] = [luminance(a), luminance(b)].sort((x, y) => y - x);
  return (high + 0.05) / (low + 0.05);
}

function luminance(colour: string): number {
  const [red = 0, green = 0, blue = 0] = [1, 3, 5].map((start) => {
    const value = parseInt(colour.slice(start, start + 2), 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}
