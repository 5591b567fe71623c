import argon2, { type HashOptions } from 'argon2';

/** A call of argon2 that can be sent to another process. */
export type Argon2Job =
  | { readonly verb: 'hash'; readonly text: string; readonly options: HashOptions }
  | { readonly verb: 'verify'; readonly text: string; readonly hash: string };

/** The new hash for `hash`; `right` or `wrong` for `verify`. */
export type Argon2Result = string;

export async function doArgon2Job(job: Argon2Job): Promise<Argon2Result> {
  if (job.verb === 'hash') return argon2.hash(job.text, job.options);
  return (await argon2.verify(job.hash, job.text)) ? 'right' : 'wrong';
}
