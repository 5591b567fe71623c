import assert from 'node:assert/strict';
import fc from 'fast-check';
import { skeletonOf, tagsOf } from '../support/html.ts';
import { withoutOwnScript } from '../support/own-script.ts';
import { pageSamples } from '../support/page-samples.ts';
import { pageNames, views } from '../support/rendered-pages.ts';
import { replaceTexts } from '../support/replace-texts.ts';

const breakouts = fc.constantFrom(
  '<script>alert(1)</script>',
  '"><img src=x onerror=alert(1)>',
  "' autofocus onfocus='alert(1)",
  '</title></head><body onload=alert(1)>',
  '<!-- ',
  ']]>',
  '&lt;b&gt;&#x22;',
  '<%= it.csrf %>',
  '\u202etxt.\u0000<b>',
);
const hostileText = fc.oneof(
  breakouts,
  fc.string({ minLength: 1, unit: 'binary' }),
  fc.string({ minLength: 1, unit: fc.constantFrom('<', '>', '&', '"', "'", '`', '=', '/', ' ', 'a', '\n') }),
);

const schemes = fc.constantFrom(
  'javascript:',
  'JavaScript:',
  ' javascript:',
  'java\tscript:',
  'data:text/html,',
  'vbscript:',
  'file:///',
  '//',
  '/\\',
  '\\\\',
  'blob:',
  'https://user:pass@',
  'about:',
  '',
);
const hostileUrl = fc
  .tuple(
    schemes,
    fc.oneof(fc.string(), fc.constantFrom('alert(1)', 'evil.example/"onclick="x', "evil.example/'><script>")),
  )
  .map((parts) => parts.join(''));

const isUrl = (key: string) => /(uri|url)$/i.test(key);

describe('Hostile data on a page', () => {
  for (const name of pageNames()) {
    it(`Hostile text adds no element and no attribute to the page ${name}`, () => {
      const data = pageSamples[name].full;
      const expected = skeletonOf(views.render(name, data));
      fc.assert(
        fc.property(hostileText, (text) => {
          const hostile = views.render(
            name,
            replaceTexts(data, (key, harmless) => (isUrl(key) ? harmless : text)),
          );
          assert.deepEqual(skeletonOf(hostile), expected);
        }),
      );
    });

    it(`Hostile URLs put no link or image on the page ${name} that leaves http and https`, () => {
      const data = pageSamples[name].full;
      fc.assert(
        fc.property(hostileUrl, (url) => {
          const html = views.render(
            name,
            replaceTexts(data, (key, harmless) => (isUrl(key) ? url : harmless)),
          );
          const tags = tagsOf(withoutOwnScript(html));
          const attribute = (key: string) => tags.flatMap((tag) => tag.attributes.get(key) ?? []);
          assert.deepEqual(
            attribute('href').filter((href) => !/^(https?:\/\/[^@]+$|\/(?![/\\]))/.test(href)),
            [],
          );
          assert.deepEqual(
            attribute('src').filter((src) => !/^(https:\/\/|\/assets\/)/.test(src)),
            [],
          );
          assert.deepEqual(
            tags.filter((tag) => tag.attributes.has('onclick') || tag.name === 'script'),
            [],
          );
        }),
      );
    });
  }

  it('Escaped text reaches the reader unchanged', () => {
    const html = views.render('error', { title: '<i>"Tom & Jerry\'s"</i>', message: 'm', requestId: 'r' });
    assert.match(html, /<h1>&lt;i&gt;&quot;Tom &amp; Jerry&#39;s&quot;&lt;\/i&gt;<\/h1>/);
  });
});
