/**
 * Worker thread that estimates how many guesses a password withstands. It is separate, because one estimate may take as
 * long as a password hash.
 */
import { parentPort } from 'node:worker_threads';
import { ZxcvbnFactory } from '@zxcvbn-ts/core';
import * as common from '@zxcvbn-ts/language-common';
import * as english from '@zxcvbn-ts/language-en';
import type { EstimateAnswer, EstimateQuestion, Weakness } from './strength.ts';

/**
 * Least number of guesses for a password, as a power of ten. zxcvbn calls 10^8 "safely unguessable". Ten times as many
 * take days even with stolen hashes: at OWASP's least cost, a graphics card makes some thousand guesses a second.
 */
const ENOUGH = 9;
/** Maximum number of substitutions (`4` for `a`). Nothing else raises the cost of an estimate more. */
const SUBSTITUTIONS = 10;

/** Reason for people for each warning of zxcvbn. */
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
