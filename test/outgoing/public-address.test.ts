import assert from 'node:assert/strict';
import { isPublicAddress } from '../../src/outgoing/outgoing-fetch.ts';

/** One address of each special-purpose block of the IANA registries, most at its edge. */
const SPECIAL = {
  'this network': ['0.0.0.0', '0.255.255.255', '::'],
  loopback: ['127.0.0.1', '127.255.255.254', '::1'],
  private: ['10.0.0.1', '172.16.0.1', '172.31.255.255', '192.168.1.1', 'fc00::1', 'fdff::1'],
  'carrier-grade NAT': ['100.64.0.1', '100.127.255.255'],
  'link-local': ['169.254.169.254', 'fe80::1', 'febf::1', 'fe80::1%eth0'],
  'site-local': ['fec0::1'],
  multicast: ['224.0.0.1', '239.255.255.255', 'ff02::1'],
  broadcast: ['255.255.255.255'],
  reserved: ['192.0.0.8', '192.88.99.1', '240.0.0.1', '4000::1', 'e000::1'],
  documentation: ['192.0.2.1', '198.51.100.1', '203.0.113.1', '2001:db8::1', '3fff::1'],
  benchmarking: ['198.18.0.1', '198.19.255.255', '2001:2::1'],
  'AS112 and AMT': ['192.175.48.1', '192.31.196.1', '192.52.193.1', '2001:4:112::1', '2001:3::1', '2620:4f:8000::1'],
  'IPv4 in IPv6': ['::ffff:127.0.0.1', '::ffff:7f00:1', '::ffff:8.8.8.8', '::127.0.0.1', '::ffff:0:127.0.0.1'],
  'translated (NAT64)': ['64:ff9b::7f00:1', '64:ff9b::8.8.8.8', '64:ff9b:1::a00:1'],
  'tunnelled (6to4, Teredo)': ['2002:7f00:1::', '2002:c0a8:101::1', '2001::1', '2001:0:7f00:1::'],
  'discarded, ORCHID, DRIP, SRv6': ['100::1', '100:0:0:1::1', '2001:10::1', '2001:20::1', '2001:30::1', '5f00::1'],
};

describe('Public addresses', () => {
  for (const [block, addresses] of Object.entries(SPECIAL)) {
    it(`The addresses of ${block} are not public: ${addresses.join(', ')}`, () => {
      assert.deepEqual(addresses.filter(isPublicAddress), []);
    });
  }

  it('The addresses beside the special blocks are public', () => {
    const addresses = [
      ...['1.1.1.1', '9.255.255.255', '11.0.0.0', '100.63.255.255', '100.128.0.0', '126.255.255.255', '128.0.0.1'],
      ...['172.15.255.255', '172.32.0.0', '192.167.255.255', '198.17.255.255', '198.20.0.0', '223.255.255.255'],
      ...['2606:4700:4700::1111', '2003::1', '2a00:1450::1', '3ffe::1'],
    ];
    assert.deepEqual(addresses.filter(isPublicAddress), addresses);
  });

  it('A host name, a partial address and an empty text are not public addresses', () => {
    for (const text of ['', 'localhost', 'example.com', '1.1.1', '1.1.1.1.1', '1.1.1.1 ', '[2003::1]', '2003::1/3'])
      assert.equal(isPublicAddress(text), false, text);
  });
});
