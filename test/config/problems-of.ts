import assert from 'node:assert/strict';
import { parseConfig, type LoadedConfig } from '../../src/config/loading/load.ts';
import { ConfigError } from '../../src/config/problems.ts';

export interface Given {
  environment?: NodeJS.ProcessEnv;
  /** The folder that the paths of secrets start from. */
  folder?: string;
}

/** Reads a configuration file's text, as `latchkey.yaml`. */
export function parse(text: string, { environment = {}, folder = '.' }: Given = {}): LoadedConfig {
  return parseConfig({ name: 'latchkey.yaml', text, folder }, { environment });
}

/** The problems of a configuration that must not be valid, one line each: `3 clients[0].secret: …`. */
export function problemsOf(text: string, given?: Given): string[] {
  return refusal(() => parse(text, given)).problems.map(
    ({ path, message, line }) => `${line ?? '-'} ${path === '' ? '' : `${path}: `}${message}`,
  );
}

/** The `ConfigError` that a call must end with. */
export function refusal(call: () => unknown): ConfigError {
  try {
    call();
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return error;
  }
  assert.fail('the configuration was accepted');
}
