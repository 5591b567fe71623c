import type { Cluster, Redis, Result } from 'ioredis';

/**
 * The Lua scripts. Each uses exactly one key, so all of them run on a cluster. The caller's clock (`now`, in
 * milliseconds) decides which records have expired. Redis's own expiry only frees memory; it is set as a duration, so
 * that a wrong clock cannot make a record permanent. A record is a hash with the fields value, version, consumedAt,
 * expiresAt ('' if durable) and memberships (see memberships.ts).
 */

const RECORD = `
  local key, now = KEYS[1], tonumber(ARGV[1])

  local function lives(expiresAt)
    return expiresAt and (expiresAt == '' or tonumber(expiresAt) > now)
  end

  -- ARGV: now, value, expiresAt, ttl, memberships. The first version is the time in microseconds, so a version that
  -- was read before a delete never matches the next record.
  local function write()
    if redis.call('HINCRBY', key, 'version', 1) == 1 then
      local time = redis.call('TIME')
      redis.call('HSET', key, 'version', time[1] .. string.format('%06d', time[2]))
    end
    redis.call('HSET', key, 'value', ARGV[2], 'expiresAt', ARGV[3], 'memberships', ARGV[5])
    if ARGV[3] == '' then redis.call('PERSIST', key) else redis.call('PEXPIRE', key, ARGV[4]) end
  end
`;

const SET = `${RECORD}
  local former = redis.call('HGET', key, 'memberships')
  write()
  redis.call('HDEL', key, 'consumedAt')
  return former`;

const CREATE = `${RECORD}
  local former = redis.call('HMGET', key, 'expiresAt', 'memberships')
  if lives(former[1]) then return {0, false} end
  write()
  redis.call('HDEL', key, 'consumedAt')
  return {1, former[2]}`;

const REPLACE = `${RECORD}
  local former = redis.call('HMGET', key, 'expiresAt', 'memberships', 'version')
  if former[3] ~= ARGV[6] or not lives(former[1]) then return {0, false} end
  write()
  return {1, former[2]}`;

const CONSUME = `${RECORD}
  local found = redis.call('HMGET', key, 'expiresAt', 'consumedAt')
  if not lives(found[1]) then return 'absent' end
  if found[2] then return found[2] end
  redis.call('HSET', key, 'consumedAt', ARGV[1])
  return 'first'`;

const TAKE = `
  local found = redis.call('HMGET', KEYS[1], 'value', 'version', 'consumedAt', 'expiresAt', 'memberships')
  redis.call('DEL', KEYS[1])
  return found`;

/** An index is a sorted set with the expiry as score. The set itself expires with the member that lives longest. */
const INDEX = `
  local key, now = KEYS[1], tonumber(ARGV[1])
  -- A caller with a fast clock does not see members that it considers expired, but must not delete them.
  local time = redis.call('TIME')
  local over = math.min(now, time[1] * 1000 + math.floor(time[2] / 1000))

  local function prune()
    redis.call('ZREMRANGEBYSCORE', key, '-inf', string.format('%.0f', over))
  end

  local function coverLongest()
    local longest = tonumber(redis.call('ZRANGE', key, -1, -1, 'WITHSCORES')[2])
    if longest == math.huge then redis.call('PERSIST', key)
    elseif longest then redis.call('PEXPIRE', key, string.format('%.0f', longest - over)) end
  end
`;

/**
 * ARGV: now, then score and entry of each member. The script adds the members before it prunes: Redis checks for free
 * memory at a script's first write alone, and does not check if that write is a deletion.
 */
const ENTER = `${INDEX}
  for i = 2, #ARGV, 2 do redis.call('ZADD', key, 'GT', ARGV[i], ARGV[i + 1]) end
  prune()
  coverLongest()`;

/** ARGV: now, entry */
const LEAVE = `${INDEX}
  if redis.call('ZREM', key, ARGV[2]) == 1 then coverLongest() end`;

/**
 * ARGV: now, score and entry to start after ('' for the start), limit. If the entry no longer exists, the script adds
 * it for a moment to find its position. This is exact, and takes logarithmic time even if many members share a score.
 */
const PAGE = `${INDEX}
  prune()
  local start = redis.call('ZCOUNT', key, '-inf', string.format('%.0f', now))
  if ARGV[2] ~= '' then
    if redis.call('ZADD', key, 'NX', ARGV[2], ARGV[3]) == 1 then
      start = math.max(start, redis.call('ZRANK', key, ARGV[3]))
      redis.call('ZREM', key, ARGV[3])
    else
      start = math.max(start, redis.call('ZRANK', key, ARGV[3]) + 1)
    end
  end
  return redis.call('ZRANGE', key, start, start + ARGV[4] - 1, 'WITHSCORES')`;

/**
 * An order is a sorted set in which all members have the same score, so they are sorted by name: TERM \0 EXPIRY \0 KEY
 * \0 WRITE, with a 16-digit expiry. Redis cannot search it for expired members. Each read therefore removes the expired
 * members that it meets, and each write removes those among four random members.
 */
const ORDER = `${INDEX}
  local function expiry(member) return tonumber(string.match(member, '%z(%d+)%z')) or 0 end
`;

/** ARGV: now, ttl (0 for a durable record), members… */
const TERM_ENTER = `${ORDER}
  local lives, life = redis.call('PTTL', key), tonumber(ARGV[2])
  for i = 3, #ARGV do redis.call('ZADD', key, 0, ARGV[i]) end
  if life == 0 then redis.call('PERSIST', key)
  elseif lives == -2 or (lives >= 0 and lives < life) then redis.call('PEXPIRE', key, ARGV[2]) end
  for _, member in ipairs(redis.call('ZRANDMEMBER', key, 4)) do
    if expiry(member) <= over then redis.call('ZREM', key, member) end
  end`;

/**
 * ARGV: now, prefix, position to start after ('' for the start), limit.
 * @returns the position to continue after ('' at the end), then the members
 */
const RANGE = `${ORDER}
  local limit, start = tonumber(ARGV[4]), ARGV[3] == '' and '[' .. ARGV[2] or '(' .. ARGV[3]
  local found, rest = {}, ''
  for round = 1, 20 do
    local some = redis.call('ZRANGE', key, start, '(' .. ARGV[2] .. '\\255', 'BYLEX', 'LIMIT', 0, limit)
    for _, member in ipairs(some) do
      local ends = expiry(member)
      if ends <= over then redis.call('ZREM', key, member)
      elseif ends > now then table.insert(found, member) end
    end
    rest = #some < limit and '' or some[#some]
    if rest == '' or #found >= limit then break end
    start = '(' .. rest
  end
  table.insert(found, 1, rest)
  return found`;

/** ARGV: now, value, expiresAt, ttl, memberships, version, consumedAt ('' for none) */
const LOAD_RECORD = `
  local key = KEYS[1]
  local former = redis.call('HGET', key, 'memberships')
  redis.call('HSET', key, 'value', ARGV[2], 'expiresAt', ARGV[3], 'memberships', ARGV[5], 'version', ARGV[6])
  if ARGV[7] == '' then redis.call('HDEL', key, 'consumedAt') else redis.call('HSET', key, 'consumedAt', ARGV[7]) end
  if ARGV[3] == '' then redis.call('PERSIST', key) else redis.call('PEXPIRE', key, ARGV[4]) end
  return former`;

/** ARGV: sum, expiresAt, ttl */
const LOAD_COUNTER = `
  redis.call('HSET', KEYS[1], 'sum', ARGV[1], 'expiresAt', ARGV[2])
  redis.call('PEXPIRE', KEYS[1], ARGV[3])`;

/** A counter is a hash with the fields sum and expiresAt. ARGV: now, by, expiresAt, ttl */
const INCREMENT = `
  local key, expiresAt = KEYS[1], redis.call('HGET', KEYS[1], 'expiresAt')
  if expiresAt and tonumber(expiresAt) <= tonumber(ARGV[1]) then
    redis.call('DEL', key)
    expiresAt = false
  end
  local sum = redis.call('HINCRBY', key, 'sum', ARGV[2])
  if not expiresAt then
    redis.call('HSET', key, 'expiresAt', ARGV[3])
    redis.call('PEXPIRE', key, ARGV[4])
  end
  return sum`;

/**
 * Length of a bitmap's header in bytes. The header is the expiry in 16 digits, so that bits and expiry change together.
 */
export const BITMAP_HEADER = 16;

/** ARGV: now, header, ttl, offsets… */
const SET_BITS = `
  local key, expiresAt = KEYS[1], tonumber(redis.call('GETRANGE', KEYS[1], 0, ${BITMAP_HEADER - 1}))
  if expiresAt and expiresAt <= tonumber(ARGV[1]) then redis.call('DEL', key) end
  for i = 4, #ARGV do redis.call('SETBIT', key, ${BITMAP_HEADER * 8} + ARGV[i], 1) end
  redis.call('SETRANGE', key, 0, ARGV[2])
  redis.call('PEXPIRE', key, ARGV[3])`;

/**
 * Compares the expiry that an item states with the one that Redis enforces. ARGV: now, length of the header of a bitmap
 * (0 for a hash), 1 to repair. @returns fine, lacking or mended
 */
const EXPIRY_CHECK = `
  local key, header = KEYS[1], tonumber(ARGV[2])
  if redis.call('PTTL', key) ~= -1 then return 'fine' end
  local states
  if header > 0 then states = redis.call('GETRANGE', key, 0, header - 1)
  else states = redis.call('HGET', key, 'expiresAt') end
  if states == '' then return 'fine' end
  local expiresAt = tonumber(states)
  if ARGV[3] ~= '1' or not expiresAt then return 'lacking' end
  redis.call('PEXPIRE', key, string.format('%.0f', math.max(1, expiresAt - tonumber(ARGV[1]))))
  return 'mended'`;

const SCRIPTS = {
  recordSet: SET,
  recordCreate: CREATE,
  recordReplace: REPLACE,
  recordConsume: CONSUME,
  recordTake: TAKE,
  indexEnter: ENTER,
  indexLeave: LEAVE,
  indexPage: PAGE,
  termEnter: TERM_ENTER,
  termRange: RANGE,
  recordLoad: LOAD_RECORD,
  counterLoad: LOAD_COUNTER,
  counterIncrement: INCREMENT,
  bitmapSet: SET_BITS,
  expiryCheck: EXPIRY_CHECK,
};

/** The arguments of a write, in the order of the scripts. */
export type WriteArguments = [now: number, value: string, expiresAt: number | '', ttl: number, memberships: string];
/** A field of a hash; null if it is absent. */
type Field = string | null;

declare module 'ioredis' {
  interface RedisCommander<Context> {
    recordSet(key: string, ...write: WriteArguments): Result<Field, Context>;
    recordCreate(key: string, ...write: WriteArguments): Result<[won: 0 | 1, former: Field], Context>;
    recordReplace(
      key: string,
      ...write: [...WriteArguments, version: number]
    ): Result<[won: 0 | 1, former: Field], Context>;
    recordConsume(key: string, now: number): Result<string, Context>;
    recordTake(
      key: string,
    ): Result<[value: Field, version: Field, consumedAt: Field, expiresAt: Field, memberships: Field], Context>;
    indexEnter(key: string, now: number, ...entries: readonly (number | string)[]): Result<null, Context>;
    indexLeave(key: string, now: number, entry: string): Result<null, Context>;
    indexPage(key: string, now: number, score: string, entry: string, limit: number): Result<string[], Context>;
    termEnter(key: string, now: number, ttl: number, ...members: readonly string[]): Result<null, Context>;
    termRange(key: string, now: number, prefix: string, after: string, limit: number): Result<string[], Context>;
    recordLoad(
      key: string,
      ...load: [...WriteArguments, version: number, consumedAt: number | '']
    ): Result<Field, Context>;
    counterLoad(key: string, sum: number, expiresAt: number, ttl: number): Result<null, Context>;
    counterIncrement(key: string, now: number, by: number, expiresAt: number, ttl: number): Result<number, Context>;
    expiryCheck(
      key: string,
      now: number,
      header: number,
      isRepaired: 0 | 1,
    ): Result<'fine' | 'lacking' | 'mended', Context>;
    bitmapSet(
      key: string,
      now: number,
      header: string,
      ttl: number,
      ...offsets: readonly number[]
    ): Result<null, Context>;
  }
}

/**
 * Adds a method for each script to the client. The client sends the script once for each connection, and then only its
 * hash.
 */
export function defineScripts(client: Redis | Cluster): void {
  for (const [name, lua] of Object.entries(SCRIPTS)) client.defineCommand(name, { numberOfKeys: 1, lua });
}
