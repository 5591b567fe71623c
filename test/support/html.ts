/** A start tag: its name and its attributes as written, still escaped. */
export interface Tag {
  readonly name: string;
  readonly attributes: ReadonlyMap<string, string>;
}

const TAG = /<([a-z][a-z0-9]*)((?:\s+[^\s=>"'/]+(?:="[^"]*")?)*)\s*\/?>/gi;
const ATTRIBUTE = /([^\s=>"'/]+)(?:="([^"]*)")?/g;

/** The start tags of a page of ours, in order. Our templates quote every attribute with `"`. */
export function tagsOf(html: string): Tag[] {
  return [...html.matchAll(TAG)].map(([, name = '', attributes = '']) => ({
    name: name.toLowerCase(),
    attributes: new Map(
      [...attributes.matchAll(ATTRIBUTE)].map(([, key = '', value = '']) => [key.toLowerCase(), value]),
    ),
  }));
}

/** What a page consists of when its texts are left out: each tag with the names of its attributes. */
export function skeletonOf(html: string): string[] {
  return tagsOf(html).map((tag) => [tag.name, ...tag.attributes.keys()].join(' '));
}
