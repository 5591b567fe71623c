import { everyMember } from '../storage/every-member.ts';
import { keyspace, type Index, type Store } from '../storage/store.ts';

/** A receiver's choice to get, or not to get, the events of one account. */
interface Choice {
  wanted: boolean;
}

/** Record that an account has given a client access. The client may get the account's events from then on. */
interface KnownSubject {
  known: true;
}

const choiceKey = keyspace<Choice>('signal-subject');
const choicesOfStream = (stream: string): Index<Choice> => `signal-subjects-of-stream:${stream}`;
const knownSubjectKey = keyspace<KnownSubject>('signal-acquaintance');
const recordsOfAccount = (account: string): Index<unknown> => `signal-records-of-account:${account}`;

/** Accounts that receivers chose for their streams, and accounts whose events a client may get. */
export interface Subjects {
  /** Allows a client to get an account's events from now on. */
  introduce(account: string, client: string): Promise<void>;
  isKnown(account: string, client: string): Promise<boolean>;
  /** Revokes the permission that `introduce` gave, until it is called again. */
  withdraw(account: string, client: string): Promise<void>;
  choose(stream: string, account: string, wanted: boolean): Promise<void>;
  /** @returns undefined if the receiver has not chosen */
  choice(stream: string, account: string): Promise<boolean | undefined>;
  forgetStream(stream: string): Promise<void>;
  forgetAccount(account: string): Promise<void>;
}

export function openSubjects(records: Store): Subjects {
  const remove = async (index: Index<unknown>): Promise<void> => {
    for await (const keys of everyMember(records, index)) await Promise.all(keys.map((key) => records.delete(key)));
  };
  return {
    async introduce(account, client) {
      const key = knownSubjectKey(`${client}:${account}`);
      await records.create(key, { known: true }, { indexes: [recordsOfAccount(account)] });
    },
    async isKnown(account, client) {
      return (await records.get(knownSubjectKey(`${client}:${account}`))) !== undefined;
    },
    async withdraw(account, client) {
      await records.delete(knownSubjectKey(`${client}:${account}`));
    },
    async choose(stream, account, wanted) {
      const indexes = [choicesOfStream(stream), recordsOfAccount(account)];
      await records.set(choiceKey(`${stream}:${account}`), { wanted }, { indexes });
    },
    async choice(stream, account) {
      return (await records.get(choiceKey(`${stream}:${account}`)))?.value.wanted;
    },
    forgetStream: (stream) => remove(choicesOfStream(stream)),
    forgetAccount: (account) => remove(recordsOfAccount(account)),
  };
}
