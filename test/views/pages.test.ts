import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { sha256 } from '../../src/lib/hash.ts';
import { tagsOf } from '../support/html.ts';
import { OWN_SCRIPT, withoutOwnScript } from '../support/own-script.ts';
import { pageSamples } from '../support/page-samples.ts';
import { renderedPages, templates, views, viewsDirectory } from '../support/rendered-pages.ts';

describe('The rendered pages', () => {
  for (const { label, name, html } of renderedPages()) {
    const tags = tagsOf(html);
    const named = (tag: string) => tags.filter((each) => each.name === tag);
    const values = (attribute: string) => tags.flatMap((tag) => tag.attributes.get(attribute) ?? []);

    describe(label, () => {
      it(`The page "${label}" has a language, a title with the brand, one main element and one first-level heading`, () => {
        assert.match(html, /^<!doctype html>\n<html lang="en">/);
        assert.match(html, /<title>[^<]+ – Latchkey<\/title>/);
        assert.deepEqual([named('main').length, named('h1').length, named('header').length], [1, 1, 1]);
      });

      it(`The page "${label}" shows no missing value`, () => {
        assert.doesNotMatch(html, /undefined|null|NaN|\[object/);
      });

      it(`The page "${label}" uses each id once and refers only to ids that exist`, () => {
        const ids = values('id');
        assert.deepEqual(ids, [...new Set(ids)]);
        const references = [...values('aria-describedby').flatMap((value) => value.split(' ')), ...values('for')];
        assert.deepEqual(
          references.filter((reference) => !ids.includes(reference)),
          [],
        );
      });

      it(`The page "${label}" labels every field`, () => {
        const fields = named('input').filter((tag) => tag.attributes.get('type') !== 'hidden');
        const labelled = new Set(named('label').map((tag) => tag.attributes.get('for')));
        assert.deepEqual(
          fields.filter((tag) => !labelled.has(tag.attributes.get('id'))),
          [],
        );
        assert.deepEqual(
          fields.filter((tag) => tag.attributes.get('type') !== 'checkbox' && !tag.attributes.get('autocomplete')),
          [],
        );
      });

      it(`The page "${label}" posts each form with its CSRF token`, () => {
        const token = ['sign-out', 'device-code', 'device-confirm'].includes(name) ? 'xsrf' : 'csrf';
        const forms = html.match(/<form[^]*?<\/form>/g) ?? [];
        assert.equal(forms.length, named('form').length);
        for (const form of forms) {
          const [opening, ...inside] = tagsOf(form);
          assert.equal(opening?.attributes.get('method'), 'post');
          assert.equal(
            inside.filter((tag) => tag.attributes.get('name') === token && tag.attributes.get('value')).length,
            1,
          );
        }
      });

      it(`The page "${label}" loads one script and contains nothing inline that a strict policy blocks`, () => {
        assert.ok(html.includes(OWN_SCRIPT));
        assert.doesNotMatch(withoutOwnScript(html), /<(?:script|style)/i);
        const attributes = tags.flatMap((tag) => [...tag.attributes.keys()]);
        assert.deepEqual(
          attributes.filter((attribute) => attribute === 'style' || attribute.startsWith('on')),
          [],
        );
      });

      it(`The page "${label}" focuses at most one field`, () => {
        assert.ok(tags.filter((tag) => tag.attributes.has('autofocus')).length <= 1);
      });
    });
  }
});

describe('The texts of the pages', () => {
  const { 'sign-in': signIn, consent } = pageSamples;

  it('The sign-in page says how long to wait, and marks no field as wrong for that', () => {
    const waiting = views.render('sign-in', { ...signIn.minimal, wait: 61 });
    assert.match(waiting, /<p>Too many attempts\. <span data-wait="61">Try again in 2 minutes\.<\/span><\/p>/);
    assert.doesNotMatch(waiting, /aria-invalid/);
    assert.match(views.render('sign-in', signIn.full), /aria-invalid/);
  });

  it('The consent page names the app if its redirect URI has no host', () => {
    assert.match(views.render('consent', { ...consent.minimal, redirectHost: '' }), /you return to <bdi>Photos<\/bdi>/);
  });

  it('The sign-up page never repeats a password in the form', () => {
    const data = { ...pageSamples['sign-up'].full, password: 'correct horse battery' };
    assert.doesNotMatch(views.render('sign-up', data), /correct horse/);
  });
});

describe('The assets of the pages', () => {
  it('The asset paths change with their content, and the pages load no other files', () => {
    for (const { path, body } of views.assets) {
      assert.equal(/^\/assets\/[a-z]+\.([\w-]{16})\.(?:css|js|svg)$/.exec(path)?.[1], sha256(body).slice(0, 16));
    }
    const loaded = renderedPages().flatMap(({ html }) =>
      [...html.matchAll(/"(\/assets\/[^"]+)"/g)].map(([, path]) => path),
    );
    assert.deepEqual([...new Set(loaded)].sort(), views.assets.map(({ path }) => path).sort());
  });
});

describe('The templates', () => {
  it('The templates write unescaped text only to include another template', () => {
    const raw = templates().flatMap(({ source }) => source.match(/<%[-_]?\s*~[^]*?%>/g) ?? []);
    assert.deepEqual(
      raw.filter((tag) => tag !== '<%~ it.body %>' && !/^<%~ include\('@[a-z-]+', \{ /.test(tag)),
      [],
    );
    assert.ok(raw.length > 0);
  });

  it('The templates quote every attribute that holds a value', () => {
    assert.deepEqual(
      templates()
        .filter(({ source }) => /=<%|='[^'\n]*<%=/.test(source))
        .map(({ file }) => file),
      [],
    );
  });

  it('The templates use every class of the style sheet and no other', () => {
    const style = readFileSync(join(viewsDirectory, 'style.css'), 'utf8');
    const styled = new Set([...style.matchAll(/\.([a-z][a-z-]+)(?=[^{}]*\{)/g)].map(([, name = '']) => name));
    const used = new Set(
      templates().flatMap(({ source }) =>
        [...source.matchAll(/class="([^"]+)"/g)].flatMap(([, names = '']) => names.split(' ')),
      ),
    );
    assert.deepEqual([...styled].sort(), [...used].sort());
  });

  it('The views folder holds only the templates, the style sheet, the script, the logo and the README', () => {
    const others = readdirSync(viewsDirectory).filter((file) => !file.endsWith('.eta'));
    assert.deepEqual(others.sort(), ['README.md', 'key.svg', 'page.js', 'style.css']);
  });
});
