import { views } from './rendered-pages.ts';

const [script] = views.assets.filter(({ type }) => type.startsWith('text/javascript'));
if (script === undefined) throw new Error('the pages have no script');

/** The tag of the one script that pages load. */
export const OWN_SCRIPT = `<script src="${script.path}" defer></script>`;

/** A page without that tag, so that any other script is still found: a second copy, or one with a further attribute. */
export function withoutOwnScript(html: string): string {
  return html.replace(OWN_SCRIPT, '');
}
