import fc from 'fast-check';
import { stringify } from 'yaml';
import { ConfigError } from '../../src/config/problems.ts';
import { configSchema } from '../../src/config/schema.ts';
import { keysAt } from '../../src/config/schema-reflection.ts';
import { parse } from './problems-of.ts';

/** The only two ends that reading a configuration may have. */
function isReadOrRefused(text: string, environment: NodeJS.ProcessEnv = {}): boolean {
  try {
    parse(text, { environment });
    return true;
  } catch (error) {
    return error instanceof ConfigError && error.problems.length > 0;
  }
}

const sections = fc.constantFrom(...keysAt(configSchema, []));
const clientKeys = fc.constantFrom(...keysAt(configSchema, ['clients', 0]));
const leaf = fc.oneof(
  fc.string(),
  fc.webUrl(),
  fc.constantFrom('openid', 'spa', 'web', '15m', 'http://localhost/', '*', 'redis://h', '10.0.0.0/8', 'x:y@z'),
  fc.integer(),
  fc.boolean(),
  fc.constant(null),
  fc.record({ env: fc.string() }),
  fc.record({ file: fc.string({ maxLength: 4 }) }),
);
const anything = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    leaf,
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(fc.string(), tie('value')),
  ),
})).value;

describe('Arbitrary configurations', () => {
  it('The configuration parser reads or refuses arbitrary text', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => isReadOrRefused(text)));
  });

  it('The configuration parser reads or refuses text that consists of YAML syntax', () => {
    const signs = fc.constantFrom(
      '- ',
      ': ',
      '{',
      '}',
      '[',
      ']',
      '&a ',
      '*a',
      '!!map ',
      '!x ',
      '"',
      "'",
      '|',
      '>',
      '\n',
      '  ',
      '#',
      '<<',
      '%YAML 1.1\n',
      '---\n',
      '? ',
      'issuer',
      '\t',
    );
    fc.assert(
      fc.property(fc.array(signs, { maxLength: 40 }), (parts) => isReadOrRefused(parts.join(''))),
      { numRuns: 500 },
    );
  });

  it('The configuration parser reads or refuses trees of any shape under the known settings', () => {
    fc.assert(
      fc.property(fc.dictionary(sections, anything), (tree) => isReadOrRefused(stringify(tree))),
      { numRuns: 300 },
    );
  });

  it('The configuration parser reads or refuses clients of any shape', () => {
    const clients = fc.array(fc.dictionary(clientKeys, anything), { maxLength: 3 });
    fc.assert(
      fc.property(clients, (list) => isReadOrRefused(stringify({ issuer: 'https://a.example', clients: list }))),
      { numRuns: 300 },
    );
  });

  it('The configuration parser reads or refuses any environment', () => {
    const names = fc.constantFrom(
      'ISSUER',
      'HOST',
      'PORT',
      'STORE',
      'RECORDS_STORE',
      'KEYS_DIR',
      'LOG_LEVEL',
      'WORKERS',
    );
    fc.assert(
      fc.property(
        fc.dictionary(
          names.map((name) => `LATCHKEY_${name}`),
          fc.oneof(fc.string(), fc.webUrl()),
        ),
        (environment) => isReadOrRefused('issuer: https://a.example', environment),
      ),
    );
  });
});
