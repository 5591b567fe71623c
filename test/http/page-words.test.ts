import assert from 'node:assert/strict';
import fc from 'fast-check';
import { agoInWords, imageUrl, initial, waitInWords, webUrl } from '../../src/http/page-words.ts';

describe('Links on a page', () => {
  it('A link on a page can lead to the web or to a path of this server', () => {
    assert.equal(webUrl('https://notes.example'), 'https://notes.example/');
    assert.equal(webUrl('http://localhost:3001/a?b=c#d'), 'http://localhost:3001/a?b=c#d');
    assert.equal(webUrl('/interaction/x?a=b'), '/interaction/x?a=b');
  });

  it('The page drops a link that leads anywhere else', () => {
    const refused = [
      'javascript:alert(1)',
      ' JavaScript:alert(1)',
      'java\nscript:alert(1)',
      'data:text/html,x',
      'file:///etc/passwd',
      'blob:https://a.example/1',
    ];
    const elsewhere = [
      '//evil.example',
      '/\\evil.example',
      '/\t/evil.example',
      '\\\\evil.example',
      'evil.example',
      '',
      'http://',
      'http://own.invalid/x',
    ];
    assert.deepEqual(
      [...refused, ...elsewhere, 'https://bank.example@evil.example/', undefined].map(webUrl).filter(Boolean),
      [],
    );
  });

  it('The link filter never throws and never changes the scheme that a browser sees', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.webUrl()), (text) => {
        const url = webUrl(text);
        assert.ok(url === undefined || ['http:', 'https:'].includes(new URL(url, 'https://login.example').protocol));
      }),
    );
  });

  it('An image URL must use https', () => {
    assert.equal(imageUrl('https://notes.example/logo.png'), 'https://notes.example/logo.png');
    assert.deepEqual(
      ['http://notes.example/logo.png', 'data:image/png;base64,AA', '/logo.png', undefined]
        .map(imageUrl)
        .filter(Boolean),
      [],
    );
  });
});

describe('The initial of a name', () => {
  it('The initial of a name is its first letter as people see it', () => {
    assert.deepEqual(['alice', '  émile', '👩‍🚀 space', 'ñandú', ''].map(initial), ['A', 'É', '👩‍🚀', 'Ñ', '?']);
  });
});

describe('Waiting times in words', () => {
  it('A waiting time is given in whole units and rounded up', () => {
    assert.deepEqual([0, 1, 59, 60, 61, 3599, 3600, 3601].map(waitInWords), [
      '1 second',
      '1 second',
      '59 seconds',
      '1 minute',
      '2 minutes',
      '60 minutes',
      '1 hour',
      '2 hours',
    ]);
  });
});

describe('Past times in words', () => {
  it('A past time is given in whole units and rounded down', () => {
    assert.deepEqual([-5, 0, 59, 60, 3599, 3600, 7300, 86_399, 86_400, 2_600_000].map(agoInWords), [
      'a moment ago',
      'a moment ago',
      'a moment ago',
      '1 minute ago',
      '59 minutes ago',
      '1 hour ago',
      '2 hours ago',
      '23 hours ago',
      '1 day ago',
      '30 days ago',
    ]);
  });
});
