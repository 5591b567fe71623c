import assert from 'node:assert/strict';
import fc from 'fast-check';
import { addressBlock, addressBlocks } from '../../src/http/address-block.ts';

describe('Address blocks', () => {
  it('The address block of an IPv4 address is the whole address, in any notation', () => {
    assert.equal(addressBlock('192.0.2.1'), '192.0.2.1');
    assert.equal(addressBlock('::ffff:192.0.2.1'), '192.0.2.1');
    assert.equal(addressBlock('::FFFF:c000:0201'), '192.0.2.1');
  });

  it('The address block of an IPv6 address is its /64, in any notation', () => {
    for (const address of ['2001:db8::1', '2001:0DB8:0:0:ffff::', '2001:db8:0:0:1:2:3:4', '2001:db8::1%eth0']) {
      assert.equal(addressBlock(address), '2001:db8:0:0::/64', address);
    }
    assert.equal(addressBlock('::1'), '0:0:0:0::/64');
    assert.equal(addressBlock('1:2:3:4:5:6:7::'), '1:2:3:4::/64');
    assert.notEqual(addressBlock('2001:db8:0:1::1'), addressBlock('2001:db8::1'));
  });

  it('All addresses of a /64 have the same address block, for any prefix', () => {
    const group = fc.nat(0xffff).map((number) => number.toString(16));
    const half = fc.array(group, { minLength: 4, maxLength: 4 });
    fc.assert(
      fc.property(half, half, half, (prefix, one, other) => {
        // Below these, IPv4 addresses stand for themselves.
        fc.pre(!['0', '64', '2001', '2002'].includes(prefix[0] ?? ''));
        const blocks = [one, other].map((rest) => addressBlock([...prefix, ...rest].join(':')));
        assert.deepEqual(blocks, Array(2).fill(`${prefix.join(':')}::/64`));
      }),
    );
  });

  it('The address block of a translated or tunnelled address is the IPv4 address inside it', () => {
    const inside = ['64:ff9b::192.0.2.1', '64:ff9b::c000:201', '64:ff9b:1::c000:201', '2002:c000:201:5:6:7:8:9'];
    // Teredo writes the client's address with every bit inverted.
    inside.push('2001:0:4136:e378:8000:63bf:3fff:fdfe');
    for (const address of inside) assert.deepEqual(addressBlocks(address), ['192.0.2.1'], address);
    assert.equal(addressBlock('64:ff9b:2::c000:201'), '64:ff9b:2:0::/64');
    assert.equal(addressBlock('2001:1::c000:201'), '2001:1:0:0::/64');
  });

  it('An IPv6 address also has its wider address blocks, from /64 to /48', () => {
    assert.deepEqual(addressBlocks('192.0.2.1'), ['192.0.2.1']);
    assert.deepEqual(addressBlocks('2001:db8:aaaa:bbcc:1:2:3:4'), [
      '2001:db8:aaaa:bbcc::/64',
      '2001:db8:aaaa:bb00::/56',
      '2001:db8:aaaa:0::/48',
    ]);
    assert.deepEqual(addressBlocks('no address'), ['no address']);
  });

  it('Text that is not an address yields an address block without an error', () => {
    assert.equal(addressBlock(''), '');
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.ipV6(), fc.ipV4()), (text) => {
        assert.equal(typeof addressBlock(text), 'string');
      }),
    );
  });
});
