/** A thread that estimates how many guesses a password takes, since one estimate may take as long as a password hash. */
import { parentPort } from 'node:worker_threads';
import { ZxcvbnFactory } from '@zxcvbn-ts/core';
import * as common from '@zxcvbn-ts/language-common';
import * as english from '@zxcvbn-ts/language-en';
import type { EstimateAnswer, EstimateQuestion, Weakness } from './strength.ts';

/**
 * Guesses that a password must take, as a power of ten. zxcvbn calls 10^8 "safely unguessable"; whoever had the hashes
 * (OWASP's least cost, some thousand guesses a second on a graphics card) would take days for ten times as many.
 */
const ENOUGH = 9;
/** The cost of an estimate grows with these substitutions (`4` for `a`) more than with anything else. */
const SUBSTITUTIONS = 10;

/** The finding of zxcvbn, as a reason for a person. */
const REASONS: Readonly<Record<string, Weakness>> = {
  straightRow: 'keyboard-row',
  keyPattern: 'keyboard-row',
  simpleRepeat: 'repeats',
  extendedRepeat: 'repeats',
  sequences: 'sequence',
  recentYears: 'date',
  dates: 'date',
  topTen: 'near-common',
  topHundred: 'near-common',
  common: 'near-common',
  similarToCommon: 'near-common',
  userInputs: 'own-words',
};

const estimator = new ZxcvbnFactory({
  dictionary: { ...common.dictionary, ...english.dictionary },
  graphs: common.adjacencyGraphs,
  l33tMaxSubstitutions: SUBSTITUTIONS,
});

parentPort?.on('message', ({ id, password, words }: EstimateQuestion) => {
  const { guessesLog10, feedback } = estimator.check(password, [...words]);
  const weakness = guessesLog10 >= ENOUGH ? undefined : (REASONS[feedback.warning ?? ''] ?? 'guessable');
  parentPort?.postMessage({ id, ...(weakness && { weakness }) } satisfies EstimateAnswer);
});
