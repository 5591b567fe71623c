import assert from 'node:assert/strict';
import fc from 'fast-check';
import { browserInWords } from '../../src/http/page-words.ts';

const MOZILLA = 'Mozilla/5.0';
const WEBKIT = 'AppleWebKit/537.36 (KHTML, like Gecko)';

const BROWSERS: Record<string, string> = {
  'Firefox on Linux': `${MOZILLA} (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0`,
  'Chrome on Windows': `${MOZILLA} (Windows NT 10.0; Win64; x64) ${WEBKIT} Chrome/141.0.0.0 Safari/537.36`,
  'Chrome on ChromeOS': `${MOZILLA} (X11; CrOS x86_64 14541.0.0) ${WEBKIT} Chrome/141.0.0.0 Safari/537.36`,
  'Edge on Windows': `${MOZILLA} (Windows NT 10.0; Win64; x64) ${WEBKIT} Chrome/141.0.0.0 Safari/537.36 Edg/141.0.0.0`,
  'Opera on Mac': `${MOZILLA} (Macintosh; Intel Mac OS X 10_15_7) ${WEBKIT} Chrome/140.0.0.0 Safari/537.36 OPR/124.0.0.0`,
  'Safari on Mac': `${MOZILLA} (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Safari/605.1.15`,
  'Safari on iPhone': `${MOZILLA} (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Mobile/15E148 Safari/604.1`,
  'Chrome on iPhone': `${MOZILLA} (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/141.0 Mobile/15E148 Safari/604.1`,
  'Firefox on iPad': `${MOZILLA} (iPad; CPU OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) FxiOS/143.0 Mobile/15E148 Safari/605.1.15`,
  'Samsung Internet on Android': `${MOZILLA} (Linux; Android 10; K) ${WEBKIT} SamsungBrowser/28.0 Chrome/130.0.0.0 Mobile Safari/537.36`,
  'A browser on Android': 'Dalvik/2.1.0 (Linux; U; Android 15; Pixel 9)',
  Chrome: 'Chrome/141.0',
};

describe('Browser names from the User-Agent header', () => {
  for (const [words, userAgent] of Object.entries(BROWSERS)) {
    it(`A known User-Agent header yields the browser name "${words}"`, () =>
      assert.equal(browserInWords(userAgent), words));
  }

  it('An unknown User-Agent header yields no browser name', () => {
    assert.deepEqual([browserInWords(''), browserInWords('curl/8.14.1')], [undefined, undefined]);
  });

  it('The browser name contains only known words, whatever the User-Agent header contains', () => {
    const ours = /^(?:A browser|Edge|Opera|Samsung Internet|Firefox|Chrome|Safari)(?: on [A-Za-z]+)?$/;
    fc.assert(
      fc.property(
        fc.array(fc.oneof(fc.string(), fc.constantFrom(...Object.values(BROWSERS), '<b>', '\n'))),
        (parts) => {
          const words = browserInWords(parts.join(' '));
          assert.ok(words === undefined || ours.test(words), words);
        },
      ),
    );
  });

  it('The parser reads only the start of the User-Agent header, so a long one costs no more', () => {
    assert.equal(browserInWords(`${'x'.repeat(511)} Firefox/143.0`), undefined);
    const long = `${'Version/'.repeat(2000)}x`;
    const start = process.cpuUsage();
    for (let times = 0; times < 100; times += 1) browserInWords(long);
    // The whole of it takes 33 ms each time.
    assert.ok(process.cpuUsage(start).user < 1_000_000, 'microseconds of CPU time');
  });
});
