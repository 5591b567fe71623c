import { withParameters } from '../http/redirect-uri.ts';
import type { Send } from './internals.ts';

/**
 * RFC 6749 §3.1.2: a redirect URI keeps its own query. The engine would re-encode it and let a response overwrite it.
 */
export function keepRegisteredQuery(mode: 'query' | 'query.jwt' | 'jwt') {
  return (engine: Send): Send =>
    async (context, uri, answer) => {
      await engine(context, uri, answer);
      const sent = URL.parse(context.response.get('Location'));
      if (sent?.hash !== '' || !uri.includes('?')) return;
      const names = mode === 'query' ? Object.keys(answer) : ['response'];
      const added = Object.fromEntries(names.map((name) => [name, sent.searchParams.get(name) ?? undefined]));
      context.set('Location', withParameters(uri, added));
    };
}
