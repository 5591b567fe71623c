import assert from 'node:assert/strict';
import fc from 'fast-check';
import { repeatsName } from '../../../src/grants/jwt-bearer/assertion.ts';

describe('A JSON text that names a member twice', () => {
  const repeating: Record<string, string> = {
    'side by side': '{"a":1,"a":1}',
    'with others between': '{"a":1,"b":{"a":2},"a":3}',
    'in an escaped spelling': '{"alg":1,"\\u0061lg":2}',
    'with space before the colon': '{"a" :1, "a"\n:2}',
    'deep inside': '{"a":[[{"b":{"c":1,"c":2}}]]}',
    'as the empty text': '{"":1,"":2}',
    'with a quote in it': '{"a\\"":1,"a\\"":2}',
    'as a name of JavaScript': '{"__proto__":1,"__proto__":2}',
  };
  for (const [where, json] of Object.entries(repeating)) {
    it(`is seen: ${where}`, () => assert.equal(repeatsName(json), true));
  }

  const sound: Record<string, string> = {
    'the same name in another object': '{"a":{"a":[{"a":1},{"a":1}]}}',
    'values that look like names': '{"a":"a","b":["a","a"]}',
    'a text with braces and colons': '{"a":"{\\"b\\":1,\\"b\\":2}","b":"}{","c":":"}',
    'a backslash at the end of a text': '{"a":"\\\\","b":"a"}',
    'no object at all': '["a","a"]',
  };
  for (const [what, json] of Object.entries(sound)) {
    it(`is not mistaken for ${what}`, () => assert.equal(repeatsName(json), false));
  }

  it('is looked for in time that grows with the text, also in one that is not JSON', () => {
    for (const text of [
      '"' + 'a'.repeat(2_000_000),
      '"'.repeat(2_000_001),
      '{"' + '\\'.repeat(2_000_001),
      ' '.repeat(2_000_000),
    ])
      assert.equal(repeatsName(text), false);
  });

  it('is never what JSON.stringify writes, and always that with a member repeated', () => {
    fc.assert(
      fc.property(fc.json(), fc.string(), (json, name) => {
        assert.equal(repeatsName(json), false);
        const member = `${JSON.stringify(name)}:${json}`;
        assert.equal(repeatsName(`[{${member},${member}}]`), true);
      }),
    );
  });
});
