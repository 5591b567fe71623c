import type { Provider } from 'oidc-provider';
import { withParameters } from '../http/redirect-uri.ts';
import { aroundResponseMode } from './internals.ts';

/** RFC 6749 §3.1.2: a redirect URI keeps its own query. The engine would decode it, write it anew and let an answer replace it. */
export function keepRegisteredQuery(provider: Provider): void {
  for (const mode of ['query', 'query.jwt', 'jwt']) {
    aroundResponseMode(provider, mode, (send) => async (context, uri, answer) => {
      await send(context, uri, answer);
      const sent = URL.parse(context.response.get('Location'));
      if (sent?.hash !== '' || !uri.includes('?')) return;
      const names = mode === 'query' ? Object.keys(answer) : ['response'];
      const added = Object.fromEntries(names.map((name) => [name, sent.searchParams.get(name) ?? undefined]));
      context.set('Location', withParameters(uri, added));
    });
  }
}
