import assert from 'node:assert/strict';
import { describeProblems } from '../../src/config/problems.ts';
import { parse } from './problems-of.ts';

describe('The port of a loopback issuer', () => {
  const warned = (text: string, environment: NodeJS.ProcessEnv = {}): string =>
    describeProblems('f', parse(text, { environment }).warnings).trim();

  it('The server warns if it listens on another port, and says which setting to write', () => {
    assert.equal(
      warned('issuer: http://localhost:8080'),
      'f:1  issuer: has port 8080, but the server listens on port 3000: set listen.port to 8080, unless something forwards 8080 to 3000 (it is "http://localhost:8080")',
    );
    assert.match(warned('issuer: http://127.0.0.1'), /has port 80, but the server listens on port 3000/);
    assert.match(warned('issuer: http://localhost:3000', { LATCHKEY_PORT: '4000' }), /listens on port 4000/);
  });

  it('The server does not warn if the ports are equal or a proxy is in front', () => {
    for (const text of [
      'issuer: http://localhost:3000',
      'issuer: http://localhost\nlisten: { port: 80 }',
      'issuer: http://localhost:8080\nlisten: { port: 0 }',
      'issuer: https://localhost',
      'issuer: http://localhost:8080\nlisten: { trusted_proxies: [127.0.0.1] }',
      'issuer: https://login.example.com:8443',
    ])
      assert.equal(warned(text), '', text);
  });
});
