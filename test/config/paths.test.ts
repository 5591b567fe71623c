import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse, problemsOf } from './problems-of.ts';

const ISSUER = 'issuer: https://login.example.com';

describe('Paths in a configuration', () => {
  let folder: string;
  const before = process.cwd();

  beforeEach(() => {
    folder = realpathSync(mkdtempSync(join(tmpdir(), 'latchkey-paths-')));
    for (const name of ['etc', 'cwd']) mkdirSync(join(folder, name));
    process.chdir(join(folder, 'cwd'));
  });
  afterEach(() => {
    process.chdir(before);
    rmSync(folder, { recursive: true });
  });

  const placesOf = (text: string, environment: NodeJS.ProcessEnv = {}) => {
    const { stores, keys_dir: keys } = parse(text, { folder: '../etc', environment }).config;
    return [stores.grants, stores.records, keys].map((place) => place?.replace(folder, ''));
  };

  it('Relative paths start from the folder of the file, whatever the working directory', () => {
    assert.deepEqual(placesOf(ISSUER), ['sqlite:/etc/.latchkey/latchkey.db', undefined, '/etc/keys']);
    const text = `${ISSUER}\nstores: { grants: 'sqlite:a.db', records: 'sqlite:../b.db' }\nkeys_dir: ./k`;
    assert.deepEqual(placesOf(text), ['sqlite:/etc/a.db', 'sqlite:/b.db', '/etc/k']);
  });

  it('Absolute paths and URLs remain unchanged', () => {
    const text = `${ISSUER}\nstores: { grants: 'sqlite:/var/a.db', records: 'redis://r1' }\nkeys_dir: /run/k`;
    assert.deepEqual(placesOf(text), ['sqlite:/var/a.db', 'redis://r1', '/run/k']);
  });

  it('Relative paths from the environment also start from the folder of the file', () => {
    const environment = {
      LATCHKEY_STORE: 'sqlite:e.db',
      LATCHKEY_RECORDS_STORE: 'sqlite:r.db',
      LATCHKEY_KEYS_DIR: 'k',
    };
    assert.deepEqual(placesOf(ISSUER, environment), ['sqlite:/etc/e.db', 'sqlite:/etc/r.db', '/etc/k']);
  });

  it('The configuration is refused if the store and keys are in the working directory, as in earlier versions', () => {
    mkdirSync('.latchkey');
    mkdirSync('keys');
    writeFileSync('.latchkey/latchkey.db', '');
    writeFileSync('keys/master.key', '');
    const problems = (text: string) =>
      problemsOf(text, { folder: '../etc' }).map((line) => line.replaceAll(folder, ''));
    const moved = (here: string, there: string) =>
      `starts from the folder of this file, where ${here} is not, but ${there} is: move it, or write the full path; to start with an empty one, remove ${there}`;
    assert.deepEqual(problems(ISSUER), [
      `- stores.grants: ${moved('/etc/.latchkey/latchkey.db', '/cwd/.latchkey/latchkey.db')}`,
      `- keys_dir: ${moved('/etc/keys/master.key', '/cwd/keys/master.key')}`,
    ]);
    const whole = `${ISSUER}\nstores: { grants: 'sqlite:${folder}/cwd/.latchkey/latchkey.db' }\nkeys_dir: ${folder}/cwd/keys`;
    assert.equal(parse(whole, { folder: '../etc' }).config.keys_dir, `${folder}/cwd/keys`);
  });
});

describe('Defaults of an image', () => {
  const environment = {
    LATCHKEY_DEFAULT_HOST: '0.0.0.0',
    LATCHKEY_DEFAULT_STORE: 'sqlite:/data/latchkey.db',
    LATCHKEY_DEFAULT_KEYS_DIR: '/keys',
  };

  it('The image’s defaults apply to settings that the file omits', () => {
    const { listen, stores, keys_dir: keys } = parse(`${ISSUER}\nlisten:\n`, { environment }).config;
    assert.deepEqual([listen.host, stores.grants, keys], ['0.0.0.0', 'sqlite:/data/latchkey.db', '/keys']);
  });

  it('The file and the environment override the image’s defaults', () => {
    const text = `${ISSUER}\nlisten: { host: 127.0.0.1 }\nstores: { grants: 'redis://r1' }\nkeys_dir: /etc/keys`;
    const { listen, stores, keys_dir: keys } = parse(text, { environment }).config;
    assert.deepEqual([listen.host, stores.grants, keys], ['127.0.0.1', 'redis://r1', '/etc/keys']);
    const given = { LATCHKEY_HOST: '::1', LATCHKEY_STORE: 'redis://r2', LATCHKEY_KEYS_DIR: '/run/keys' };
    const over = parse(ISSUER, { environment: { ...environment, ...given } }).config;
    assert.deepEqual([over.listen.host, over.stores.grants, over.keys_dir], ['::1', 'redis://r2', '/run/keys']);
  });

  it('A problem names the default variable that causes it', () => {
    const faulty = { ...environment, LATCHKEY_DEFAULT_STORE: 'data' };
    assert.match(problemsOf(ISSUER, { environment: faulty })[0] ?? '', /^- LATCHKEY_DEFAULT_STORE: not a store URL/);
  });
});
