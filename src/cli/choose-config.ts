import { existsSync } from 'node:fs';
import { demoConfig } from '../config/demo.ts';
import { loadConfig, type LoadedConfig } from '../config/load.ts';

export const DEFAULT_FILE = 'latchkey.yaml';

export interface ChosenConfig extends LoadedConfig {
  /** The file that was read; the demo has none. */
  file?: string;
}

/** The file that was named, else `latchkey.yaml` of the working directory, else the demo. @throws ConfigError */
export function chooseConfig(named: string | undefined, environment: NodeJS.ProcessEnv): ChosenConfig {
  const file = named ?? (existsSync(DEFAULT_FILE) ? DEFAULT_FILE : undefined);
  if (file === undefined) return { config: demoConfig({ environment }), warnings: [] };
  return { ...loadConfig({ file, environment }), file };
}
