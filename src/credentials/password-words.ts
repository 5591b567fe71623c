import type { PasswordProblem } from './password-rules.ts';

/** What is wrong with a new password, to the person who chose it. */
export function passwordWords(minLength: number): Record<PasswordProblem, string> {
  return {
    'too-short': `Use at least ${String(minLength)} characters. A few words in a row work well.`,
    'too-long': 'Use at most 256 characters.',
    common: 'This is one of the first passwords that anybody tries. Choose another.',
    'like-your-email': 'This is too close to your email address. Choose another.',
    'like-your-name': 'This is too close to your name. Choose another.',
    'like-this-service': 'This is too close to the name of this service. Choose another.',
  };
}
