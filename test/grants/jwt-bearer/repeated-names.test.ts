import assert from 'node:assert/strict';
import fc from 'fast-check';
import { repeatsName } from '../../../src/grants/jwt-bearer/assertion.ts';

describe('Repeated names in JSON', () => {
  const repeating: Record<string, string> = {
    'side by side': '{"a":1,"a":1}',
    'with others between': '{"a":1,"b":{"a":2},"a":3}',
    'in an escaped spelling': '{"alg":1,"\\u0061lg":2}',
    'with space before the colon': '{"a" :1, "a"\n:2}',
    'deep inside other values': '{"a":[[{"b":{"c":1,"c":2}}]]}',
    'that is empty': '{"":1,"":2}',
    'that contains a quote': '{"a\\"":1,"a\\"":2}',
    'that is a JavaScript property': '{"__proto__":1,"__proto__":2}',
  };
  for (const [where, json] of Object.entries(repeating)) {
    it(`The JSON check finds a repeated name ${where}`, () => assert.equal(repeatsName(json), true));
  }

  const sound: Record<string, string> = {
    'objects that share a name': '{"a":{"a":[{"a":1},{"a":1}]}}',
    'values that look like names': '{"a":"a","b":["a","a"]}',
    'a text with braces and colons': '{"a":"{\\"b\\":1,\\"b\\":2}","b":"}{","c":":"}',
    'a text that ends with a backslash': '{"a":"\\\\","b":"a"}',
    'a list of texts': '["a","a"]',
  };
  for (const [what, json] of Object.entries(sound)) {
    it(`The JSON check finds no repeated name in ${what}`, () => assert.equal(repeatsName(json), false));
  }

  it('The JSON check takes linear time, even for text that is not JSON', () => {
    for (const text of [
      '"' + 'a'.repeat(2_000_000),
      '"'.repeat(2_000_001),
      '{"' + '\\'.repeat(2_000_001),
      ' '.repeat(2_000_000),
    ])
      assert.equal(repeatsName(text), false);
  });

  it('The JSON check finds no repeated name in JSON.stringify output, and one in every repeated member', () => {
    fc.assert(
      fc.property(fc.json(), fc.string(), (json, name) => {
        assert.equal(repeatsName(json), false);
        const member = `${JSON.stringify(name)}:${json}`;
        assert.equal(repeatsName(`[{${member},${member}}]`), true);
      }),
    );
  });
});
