import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { sha256 } from '../../src/lib/hash.ts';
import { tagsOf } from '../support/html.ts';
import { OWN_SCRIPT, withoutOwnScript } from '../support/own-script.ts';
import { pageSamples } from '../support/page-samples.ts';
import { renderedPages, templates, views, viewsDirectory } from '../support/rendered-pages.ts';

describe('every page', () => {
  for (const { label, name, html } of renderedPages()) {
    const tags = tagsOf(html);
    const named = (tag: string) => tags.filter((each) => each.name === tag);
    const values = (attribute: string) => tags.flatMap((tag) => tag.attributes.get(attribute) ?? []);

    describe(label, () => {
      it('has a language, a title with the brand, one main part and one first heading', () => {
        assert.match(html, /^<!doctype html>\n<html lang="en">/);
        assert.match(html, /<title>[^<]+ – Latchkey<\/title>/);
        assert.deepEqual([named('main').length, named('h1').length, named('header').length], [1, 1, 1]);
      });

      it('shows no missing value', () => {
        assert.doesNotMatch(html, /undefined|null|NaN|\[object/);
      });

      it('gives an id once and refers only to ids that it has', () => {
        const ids = values('id');
        assert.deepEqual(ids, [...new Set(ids)]);
        const references = [...values('aria-describedby').flatMap((value) => value.split(' ')), ...values('for')];
        assert.deepEqual(
          references.filter((reference) => !ids.includes(reference)),
          [],
        );
      });

      it('labels every field', () => {
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

      it('posts its forms, each with its CSRF token', () => {
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

      it('loads one script, and has nothing inline that a strict policy refuses', () => {
        assert.ok(html.includes(OWN_SCRIPT));
        assert.doesNotMatch(withoutOwnScript(html), /<(?:script|style)/i);
        const attributes = tags.flatMap((tag) => [...tag.attributes.keys()]);
        assert.deepEqual(
          attributes.filter((attribute) => attribute === 'style' || attribute.startsWith('on')),
          [],
        );
      });

      it('puts the cursor into at most one field', () => {
        assert.ok(tags.filter((tag) => tag.attributes.has('autofocus')).length <= 1);
      });
    });
  }
});

describe('the words of a page', () => {
  const { 'sign-in': signIn, consent } = pageSamples;

  it('tell how long to wait, and call no field wrong for that', () => {
    const waiting = views.render('sign-in', { ...signIn.minimal, wait: 61 });
    assert.match(waiting, /<p>Too many attempts\. <span data-wait="61">Try again in 2 minutes\.<\/span><\/p>/);
    assert.doesNotMatch(waiting, /aria-invalid/);
    assert.match(views.render('sign-in', signIn.full), /aria-invalid/);
  });

  it('name the app where a scheme of its own has no host to return to', () => {
    assert.match(views.render('consent', { ...consent.minimal, redirectHost: '' }), /you return to <bdi>Photos<\/bdi>/);
  });

  it('never put a password back into a form', () => {
    const data = { ...pageSamples['sign-up'].full, password: 'correct horse battery' };
    assert.doesNotMatch(views.render('sign-up', data), /correct horse/);
  });
});

describe('the assets of the pages', () => {
  it('have paths that change with their content, and are all that a page loads', () => {
    for (const { path, body } of views.assets) {
      assert.equal(/^\/assets\/[a-z]+\.([\w-]{16})\.(?:css|js|svg)$/.exec(path)?.[1], sha256(body).slice(0, 16));
    }
    const loaded = renderedPages().flatMap(({ html }) =>
      [...html.matchAll(/"(\/assets\/[^"]+)"/g)].map(([, path]) => path),
    );
    assert.deepEqual([...new Set(loaded)].sort(), views.assets.map(({ path }) => path).sort());
  });
});

describe('the templates', () => {
  it('write without escaping only where one template holds another', () => {
    const raw = templates().flatMap(({ source }) => source.match(/<%[-_]?\s*~[^]*?%>/g) ?? []);
    assert.deepEqual(
      raw.filter((tag) => tag !== '<%~ it.body %>' && !/^<%~ include\('@[a-z-]+', \{ /.test(tag)),
      [],
    );
    assert.ok(raw.length > 0);
  });

  it('quote every attribute that holds a value', () => {
    assert.deepEqual(
      templates()
        .filter(({ source }) => /=<%|='[^'\n]*<%=/.test(source))
        .map(({ file }) => file),
      [],
    );
  });

  it('use every class of the style sheet, and no other', () => {
    const style = readFileSync(join(viewsDirectory, 'style.css'), 'utf8');
    const styled = new Set([...style.matchAll(/\.([a-z][a-z-]+)(?=[^{}]*\{)/g)].map(([, name = '']) => name));
    const used = new Set(
      templates().flatMap(({ source }) =>
        [...source.matchAll(/class="([^"]+)"/g)].flatMap(([, names = '']) => names.split(' ')),
      ),
    );
    assert.deepEqual([...styled].sort(), [...used].sort());
  });

  it('are the only files beside the style sheet, the script, the mark and the README', () => {
    const others = readdirSync(viewsDirectory).filter((file) => !file.endsWith('.eta'));
    assert.deepEqual(others.sort(), ['README.md', 'key.svg', 'page.js', 'style.css']);
  });
});
