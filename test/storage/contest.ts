import type { ChildProcess } from 'node:child_process';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Answers, Contest } from './contender.ts';

/** Two processes, each with a connection of its own to the store at `url`. */
export interface Contenders {
  /** Has both try at once. @returns for each key, the answers of both */
  contest(contest: Contest): Promise<Answers>;
  stop(): Promise<void>;
}

export async function startContenders(url: string): Promise<Contenders> {
  const children = ['0', '1'].map((side) => fork(join(import.meta.dirname, 'contender.ts'), [url, side]));
  await Promise.all(children.map(report));
  return {
    contest: async (contest) => {
      const reports = children.map(report);
      for (const child of children) child.send(contest);
      const answers = await Promise.all(reports);
      return contest.keys.map((_key, at) => answers.flatMap((each) => (isAnswers(each) ? (each[at] ?? []) : [])));
    },
    stop: async () => {
      await Promise.all(
        children.map(async (child) => {
          const ended = once(child, 'exit');
          child.disconnect();
          await ended;
        }),
      );
    },
  };
}

/** The child's next message. @throws Error when the child ends instead */
function report(child: ChildProcess): Promise<unknown> {
  return new Promise((resolve, reject) => {
    child.once('message', resolve);
    child.once('exit', (code) => {
      reject(new Error(`the contender ended with ${code}`));
    });
  });
}

function isAnswers(report: unknown): report is Answers {
  return Array.isArray(report) && report.every((each) => Array.isArray(each));
}
