import assert from 'node:assert/strict';
import { keptWords, picturedWords } from '../support/readme-picture.ts';

describe("The README's picture", function () {
  this.timeout(60_000);

  it('The README’s picture shows the pages with the words that the server sends', async () => {
    assert.equal(keptWords(), await picturedWords(), 'draw it anew: npm run screenshots readme');
  });
});
