import type { IncomingMessage } from 'node:http';
import { Problem } from './problems.ts';

/** Limit in bytes: more than any form of this server needs. */
const LIMIT = 16 * 1024;
/** Headers for a refusal that leaves the rest of the body unread. */
const CLOSE = { Connection: 'close' };

/** Reads a body as UTF-8. @throws Problem `body-too-large` or `bad-form` */
export async function readText(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    // On an error the stream stays open, so that the answer can still be sent.
    for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > LIMIT) throw new Problem('body-too-large', `a body of more than ${LIMIT} bytes`, CLOSE);
      chunks.push(chunk);
    }
  } catch (error) {
    if (error instanceof Problem) throw error;
    throw new Problem('bad-form', 'the caller went away before the body had come');
  }
  return Buffer.concat(chunks).toString('utf8');
}
