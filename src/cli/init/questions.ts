import { issuerRule, originRule, resourceIdentifierRule, type Rule } from '../../config/rules.ts';
import { didYouMean } from '../../config/suggest.ts';
import { textOf, UsageError, type Arguments, type Terminal } from '../command.ts';
import type { InitPlan } from './text.ts';

const TYPES = ['spa', 'web'] as const;

interface Question {
  option: string;
  text: string;
  usual: string;
  rule: Rule;
}

/** Normalises a typed address: removes the trailing slash that a browser shows. */
const trimmed = (text: string): string => text.trim().replace(/\/$/, '');

const isName: Rule = (text) =>
  /^\P{C}{1,60}$/u.test(text) && /[a-z0-9]/i.test(text)
    ? undefined
    : 'must be 1 to 60 characters, one of a to z or 0 to 9 among them, since the client_id is made of it';

const isType: Rule = (text) =>
  TYPES.some((type) => type === text) ? undefined : `must be one of ${TYPES.join(', ')}${didYouMean(text, TYPES)}`;

const isApi: Rule = (text) => (text === '' ? undefined : resourceIdentifierRule(text));

const ISSUER: Question = {
  option: 'issuer',
  text: 'Where do people reach this server?',
  usual: 'http://localhost:3000',
  rule: issuerRule,
};

const QUESTIONS: readonly Question[] = [
  { option: 'name', text: 'What is your first app called?', usual: 'My app', rule: isName },
  {
    option: 'type',
    text: 'Does it run in the browser alone (spa), or has it a server (web)?',
    usual: 'spa',
    rule: isType,
  },
  { option: 'app', text: 'Where is it?', usual: 'http://localhost:5173', rule: originRule },
  { option: 'api', text: 'Where is the API that it calls, if it calls one?', usual: '', rule: isApi },
];

/** @throws UsageError for an invalid option value */
export async function askPlan(given: Arguments, terminal: Terminal): Promise<InitPlan> {
  const answers: Record<string, string> = {};
  const questions = [{ ...ISSUER, usual: usualIssuer(terminal.environment) }, ...QUESTIONS];
  for (const question of questions) answers[question.option] = await answerTo(question, given, terminal);
  const { issuer = '', name = '', app = '', type, api = '' } = answers;
  return { issuer, name, app, type: type === 'web' ? 'web' : 'spa', ...(api !== '' && { api }) };
}

/** Returns the public address that the environment sets, and the port to listen on. */
function usualIssuer({ LATCHKEY_ISSUER: issuer = '', LATCHKEY_PORT: port = '' }: NodeJS.ProcessEnv): string {
  if (issuerRule(issuer) === undefined) return issuer;
  return /^[1-9]\d{0,4}$/.test(port) ? `http://localhost:${port}` : ISSUER.usual;
}

async function answerTo(question: Question, given: Arguments, terminal: Terminal): Promise<string> {
  const { option, text, usual, rule } = question;
  const written = textOf(given, option);
  if (written !== undefined) {
    const value = trimmed(written);
    const problem = rule(value);
    if (problem !== undefined) throw new UsageError(`--${option} ${JSON.stringify(written)} ${problem}`);
    return value;
  }
  if (given.options['yes'] === true) return usual;
  for (;;) {
    const answer = await terminal.ask(`${text} [${usual || 'none'}] `);
    if (answer === undefined) return usual;
    const value = trimmed(answer) || usual;
    const problem = rule(value);
    if (problem === undefined) return value;
    terminal.warn(`  ${JSON.stringify(value)} ${problem}`);
  }
}
