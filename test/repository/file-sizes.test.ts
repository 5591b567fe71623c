import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';

const MOST_FILES = 460;
const LONGEST = 300;
/** In lines that are not blank. Shorter files scatter a topic, and longer ones cannot be read in a minute. */
const MEDIAN = { least: 55, most: 80 };

describe('The files of src/', () => {
  const sizes = globSync('src/**/*.ts').map((file) => {
    const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
    return { file, lines: lines.length, written: lines.filter((line) => line.trim() !== '').length };
  });

  it(`The folder src/ has at most ${MOST_FILES} files`, () => {
    assert.ok(sizes.length <= MOST_FILES, `there are ${sizes.length}: put a small file into the one that uses it`);
  });

  it(`Each file of src/ has at most ${LONGEST} lines`, () => {
    assert.deepEqual(
      sizes.filter(({ lines }) => lines > LONGEST),
      [],
    );
  });

  it(`The median file of src/ has ${MEDIAN.least} to ${MEDIAN.most} written lines`, () => {
    const sorted = sizes.map(({ written }) => written).toSorted((one, other) => one - other);
    const median = sorted[Math.floor(sorted.length / 2)] ?? 0;
    assert.ok(median >= MEDIAN.least && median <= MEDIAN.most, `the median is ${median}`);
  });
});
