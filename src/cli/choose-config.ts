import { existsSync } from 'node:fs';
import { demoConfig } from '../config/demo.ts';
import { configNamedBy } from '../config/loading/environment.ts';
import { pathText } from '../config/problems.ts';
import { loadConfig, type LoadedConfig, type LoadOptions } from '../config/loading/load.ts';

export const DEFAULT_FILE = 'latchkey.yaml';

export interface ChosenConfig extends LoadedConfig {
  /** The file that was read; undefined in demo mode. */
  file?: string;
}

/**
 * Loads the file that `--config` or LATCHKEY_CONFIG names, else `latchkey.yaml` in the working directory, else the
 * demo's configuration. @throws ConfigError
 */
export function chooseConfig(
  named: string | undefined,
  environment: NodeJS.ProcessEnv,
  options: Pick<LoadOptions, 'mayLackFiles'> = {},
): ChosenConfig {
  const file = named ?? configNamedBy(environment) ?? (existsSync(DEFAULT_FILE) ? DEFAULT_FILE : undefined);
  if (file === undefined)
    return {
      config: demoConfig({ environment }),
      secretFiles: [],
      warnings: [],
      describe: ({ path, message }) => ({ path: pathText(path), message }),
    };
  return { ...loadConfig({ file, environment, ...options }), file };
}
