import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { configNamedBy } from '../../config/loading/environment.ts';
import { parseConfig } from '../../config/loading/load.ts';
import { describeProblems } from '../../config/problems.ts';
import { systemRandom, secretToken } from '../../lib/random.ts';
import { DEFAULT_FILE } from '../choose-config.ts';
import { textOf, type Arguments, type Command, type Terminal } from '../command.ts';
import { askPlan, configText, nextSteps, secretFileOf } from './plan.ts';
import { writeNew } from '../text-files.ts';

export const init: Command = {
  name: 'init',
  summary: 'create a first configuration from a few questions or from options',
  details: `At a terminal, it asks for the values that no option sets. Without a terminal, or with --yes, it uses the defaults.\nIt never replaces a file.

init --app http://localhost:5173 --name Notes                a single-page app
init --app http://localhost:8080 --name Shop --type web      an app with a server, which gets a client secret
init --issuer https://login.example.com --app https://notes.example.com --api https://api.example.com`,
  options: {
    config: { value: 'FILE', summary: `the file to write (default: LATCHKEY_CONFIG, or else ${DEFAULT_FILE})` },
    issuer: {
      value: 'URL',
      summary: 'the URL of this server (default: LATCHKEY_ISSUER, or else localhost with LATCHKEY_PORT or 3000)',
    },
    app: { value: 'URL', summary: 'the URL of your first app (default: http://localhost:5173)' },
    name: { value: 'NAME', summary: 'the name of the app, as people see it (default: My app)' },
    type: { value: 'TYPE', summary: 'spa for an app without a server, web for one with a server (default: spa)' },
    api: { value: 'URL', summary: 'the URL of an API that the app calls (default: none)' },
    yes: { summary: 'do not ask questions' },
  },
  run,
};

async function run(given: Arguments, terminal: Terminal): Promise<number> {
  const file = textOf(given, 'config') ?? configNamedBy(terminal.environment) ?? DEFAULT_FILE;
  // Checks this first, so that nobody answers questions in vain.
  if (existsSync(file)) throw new Error(`${file} already exists and is not replaced: name another with --config FILE`);
  const plan = await askPlan(given, terminal);
  const text = configText(plan);
  // Refuses to write a file that the server would refuse to start with.
  const source = { name: file, text, folder: dirname(file) };
  const { warnings } = parseConfig(source, { environment: terminal.environment, mayLackFiles: true });
  if (warnings.length > 0) terminal.warn(`warning:\n${describeProblems(file, warnings)}\n`);
  const written = [file];
  const secretFile = secretFileOf(plan);
  if (secretFile !== undefined) {
    const path = join(dirname(file), secretFile);
    if (existsSync(path)) terminal.warn(`latchkey: ${path} already exists and was not changed`);
    else {
      writeNew(path, `${secretToken(systemRandom)}\n`, 0o600);
      written.push(path);
    }
  }
  writeNew(file, text, 0o644);
  terminal.print(`wrote ${written.join(' and ')}\n\n${nextSteps(plan, file)}`);
  return 0;
}
