import { generateKeyPairSync } from 'node:crypto';
import { durationText } from '../../lib/clock.ts';
import { LARGEST_SKEW, longestToken } from './longest-token.ts';
import type { Fault } from '../problems.ts';
import type { Draft, SigningAlgorithm } from '../schema.ts';

const CHECKS: readonly ((draft: Draft) => Fault[])[] = [
  algorithmsAreListedOnce,
  algorithmsAreThere,
  signerIsThere,
  signerCanDoAlgorithms,
  clocksAreClose,
  announcedBeforeSigning,
  announcedForLongEnough,
  publishedForLongEnough,
  resourcesAreSignedFor,
  clientsAreSignedFor,
];

/** Checks that keys can rotate without any valid token being refused. */
export function checkKeys(draft: Draft): Fault[] {
  return CHECKS.flatMap((check) => check(draft));
}

function algorithmsAreListedOnce({ keys }: Draft): Fault[] {
  if (keys === undefined) return [];
  const { algorithms } = keys;
  const path = ['keys', 'algorithms'];
  if (algorithms.length === 0) return [{ path, message: 'needs at least one algorithm' }];
  return algorithms.flatMap((alg, index) =>
    algorithms.indexOf(alg) === index ? [] : [{ path: [...path, index], message: `${alg} is already in the list` }],
  );
}

/**
 * Refuses ML-DSA if this Node.js lacks it. ML-DSA needs OpenSSL 3.5, and a Node.js built against the system's OpenSSL
 * may have an older version.
 */
function algorithmsAreThere({ keys }: Draft): Fault[] {
  return (keys?.algorithms ?? []).flatMap((alg, index) =>
    isAvailable(alg)
      ? []
      : [
          {
            path: ['keys', 'algorithms', index],
            message: `this Node.js (${process.version}) does not support ${alg}: use 24.7 or newer with OpenSSL 3.5`,
          },
        ],
  );
}

function isAvailable(alg: SigningAlgorithm): boolean {
  const type = { 'ML-DSA-44': 'ml-dsa-44', 'ML-DSA-65': 'ml-dsa-65', 'ML-DSA-87': 'ml-dsa-87' } as const;
  if (!(alg in type)) return true;
  try {
    generateKeyPairSync(type[alg as keyof typeof type]);
    return true;
  } catch {
    return false;
  }
}

function signerIsThere({ keys }: Draft): Fault[] {
  if (keys?.signer !== 'pkcs11' || keys.pkcs11 !== undefined) return [];
  return [{ path: ['keys', 'signer'], message: 'is pkcs11, but keys.pkcs11 is not set' }];
}

function signerCanDoAlgorithms({ keys }: Draft): Fault[] {
  if (keys?.signer !== 'pkcs11') return [];
  return keys.algorithms.flatMap((alg, index) =>
    alg.startsWith('ML-DSA')
      ? [
          {
            path: ['keys', 'algorithms', index],
            message: `PKCS#11 modules do not support ${alg} yet; set keys.signer to ring`,
          },
        ]
      : [],
  );
}

/**
 * Limits the clock skew. The server remembers a used proof for twice the skew after its end, so that a node with a
 * different clock error refuses a replay too.
 */
function clocksAreClose({ keys }: Draft): Fault[] {
  if (keys === undefined || keys.clock_skew <= LARGEST_SKEW) return [];
  return [{ path: ['keys', 'clock_skew'], message: 'must be at most 5m' }];
}

/**
 * Requires that keys sign for at least as long as they are announced. Otherwise the server would announce keys faster
 * than they start to sign, and `/jwks` would fill up.
 */
function announcedBeforeSigning({ keys }: Draft): Fault[] {
  if (keys === undefined || keys.sign >= keys.announce) return [];
  return [
    { path: ['keys', 'sign'], message: `must not be shorter than keys.announce (${durationText(keys.announce)})` },
  ];
}

function announcedForLongEnough({ keys }: Draft): Fault[] {
  if (keys === undefined) return [];
  const least = keys.jwks_max_age + keys.clock_skew;
  if (keys.announce > least) return [];
  const sum = `keys.jwks_max_age plus keys.clock_skew (${durationText(least)})`;
  return [
    {
      path: ['keys', 'announce'],
      message: `must be longer than ${sum}, otherwise an API with a cached /jwks could meet a key that it does not know`,
    },
  ];
}

function publishedForLongEnough({ keys, tokens, resources }: Draft): Fault[] {
  if (keys?.publish === undefined || tokens === undefined) return [];
  const { setting, life } = longestToken(tokens, resources);
  const least = life + keys.clock_skew;
  if (keys.publish >= least) return [];
  const sum = `${setting} (${durationText(life)}) plus keys.clock_skew (${durationText(keys.clock_skew)})`;
  return [
    {
      path: ['keys', 'publish'],
      message: `must be at least ${durationText(least)}: ${sum}; otherwise tokens would outlive the key that verifies them`,
    },
  ];
}

function resourcesAreSignedFor({ keys, resources }: Draft): Fault[] {
  return resources.flatMap((resource, index) =>
    unlisted(keys, resource?.signing_alg, ['resources', index, 'signing_alg']),
  );
}

const SIGNED_FOR_CLIENTS = [
  'id_token_signing_alg',
  'userinfo_signed_response_alg',
  'authorization_signed_response_alg',
  'introspection_signed_response_alg',
] as const;

function clientsAreSignedFor({ keys, clients }: Draft): Fault[] {
  return clients.flatMap((client, index) =>
    SIGNED_FOR_CLIENTS.flatMap((key) => {
      // A machine client gets no ID token, and HS256 needs no key of the ring.
      const alg = client?.type === 'machine' && key === 'id_token_signing_alg' ? undefined : client?.[key];
      return alg === 'HS256' ? [] : unlisted(keys, alg, ['clients', index, key]);
    }),
  );
}

function unlisted(keys: Draft['keys'], alg: SigningAlgorithm | undefined, path: Fault['path']): Fault[] {
  if (keys === undefined || alg === undefined || keys.algorithms.includes(alg)) return [];
  return [{ path, message: `is ${alg}, which keys.algorithms does not list: ${keys.algorithms.join(', ')}` }];
}
