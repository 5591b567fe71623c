import type { PasswordProblem } from './password-rules.ts';

/** Page texts for the problems of a new password. */
export function passwordWords(minLength: number): Record<PasswordProblem, string> {
  return {
    published: 'This is the password of the Latchkey demo, which everybody knows. Choose another.',
    'too-short': `Use at least ${String(minLength)} characters. A few words in a row work well.`,
    'too-long': 'Use at most 256 characters.',
    common: 'This is one of the first passwords that anybody tries. Choose another.',
    'near-common': 'This is close to a password that many people use. Choose another.',
    'keyboard-row': 'Keys that lie next to each other are easy to guess. Choose another password.',
    repeats: 'Repeated characters or words are easy to guess. Choose another password.',
    sequence: 'Sequences such as abc or 1234 are easy to guess. Choose another password.',
    date: 'Dates and years are easy to guess. Choose another password.',
    'own-words':
      'This says little more than your name, your email address or the name of this service. Choose another.',
    guessable: 'This is easy to guess. A few unrelated words in a row are hard to guess.',
    breached: 'This password is known from a data breach, so attackers try it. Choose another.',
    'like-your-email': 'This is too close to your email address. Choose another.',
    'like-your-name': 'This is too close to your name. Choose another.',
    'like-this-service': 'This is too close to the name of this service. Choose another.',
  };
}
