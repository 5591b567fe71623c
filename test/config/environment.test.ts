import assert from 'node:assert/strict';
import { parse, problemsOf } from './problems-of.ts';

const FILE = `issuer: https://file.example.com
listen: { port: 1111 }
stores: { grants: "sqlite:file.db" }
workers: 2`;

describe('Environment variables', () => {
  it('Environment variables override the settings of the file one by one', () => {
    const { config } = parse(FILE, {
      environment: {
        LATCHKEY_ISSUER: 'https://environment.example.com',
        LATCHKEY_HOST: '0.0.0.0',
        LATCHKEY_PORT: '8080',
        LATCHKEY_STORE: 'redis://:password@redis:6379',
        LATCHKEY_RECORDS_STORE: 'redis://records:6379',
        LATCHKEY_KEYS_DIR: '/run/keys',
        LATCHKEY_LOG_LEVEL: 'debug',
        LATCHKEY_WORKERS: '4',
      },
    });
    assert.equal(config.issuer, 'https://environment.example.com');
    assert.deepEqual([config.listen.host, config.listen.port, config.workers], ['0.0.0.0', 8080, 4]);
    assert.deepEqual(config.stores, { grants: 'redis://:password@redis:6379', records: 'redis://records:6379' });
    assert.deepEqual([config.keys_dir, config.log.level], ['/run/keys', 'debug']);
  });

  it('An empty environment variable overrides nothing', () => {
    const { config } = parse(FILE, { environment: { LATCHKEY_ISSUER: '', LATCHKEY_PORT: '', LATCHKEY_WORKERS: '' } });
    assert.deepEqual([config.issuer, config.listen.port, config.workers], ['https://file.example.com', 1111, 2]);
  });

  it('Environment variables are sufficient without a file', () => {
    assert.equal(
      parse('', { environment: { LATCHKEY_ISSUER: 'https://a.example' } }).config.issuer,
      'https://a.example',
    );
  });

  it('A problem names the environment variable that causes it', () => {
    const environment = {
      LATCHKEY_ISSUER: 'http://environment.example.com',
      LATCHKEY_PORT: '80a',
      LATCHKEY_STORE: 'mongodb://u:hunter2@h',
      LATCHKEY_LOG_LEVEL: 'verbose',
      LATCHKEY_WORKERS: '-1',
    };
    assert.deepEqual(problemsOf(FILE, { environment }).toSorted(), [
      '- LATCHKEY_ISSUER: must be https: http is for loopback addresses only',
      '- LATCHKEY_LOG_LEVEL: must be one of trace, debug, info, warn, error, silent',
      '- LATCHKEY_PORT: must be a number',
      '- LATCHKEY_STORE: not a store URL: use sqlite:PATH, redis://HOST, redis+sentinel://H1,H2/NAME, redis+cluster://H1,H2 (rediss… for TLS) or postgres://USER:PASSWORD@H1,H2/DATABASE',
      '- LATCHKEY_WORKERS: must be a number',
    ]);
  });

  it('The problem explains why Kubernetes sets LATCHKEY_PORT to a URL', () => {
    assert.deepEqual(problemsOf(FILE, { environment: { LATCHKEY_PORT: 'tcp://10.0.0.1:3000' } }), [
      '- LATCHKEY_PORT: must be a number; Kubernetes set it for a service called latchkey: set enableServiceLinks to false',
    ]);
  });
});
