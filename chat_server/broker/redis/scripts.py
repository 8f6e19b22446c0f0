"""What must happen at once inside Redis. EVALSHA and not functions, which Redis 6.2 does not have."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from redis.exceptions import NoScriptError


@dataclass(frozen=True, slots=True)
class Script:
    """`keys` share a slot. `source` uses nothing that a cluster or a replica would not repeat."""

    source: str

    @property
    def sha(self) -> str:
        return hashlib.sha1(self.source.encode(), usedforsecurity=False).hexdigest()

    async def run(self, client: Any, keys: Sequence[str], *values: object) -> Any:
        try:
            return await client.evalsha(self.sha, len(keys), *keys, *values)
        except NoScriptError:
            return await client.eval(self.source, len(keys), *keys, *values)


# Append to a stream: the same idempotency key once; a lost counter means a new epoch and never a repeated offset.
# KEYS meta, stream, idempotency. ARGV channel key, verb, header, payload, size, ttl_s, epoch_ttl_s, idempotency_ttl_s,
# has_idempotency, new_epoch. Answers {epoch, offset}.
APPEND = Script(
    """
local epoch = redis.call('hget', KEYS[1], 'e')
if ARGV[9] == '1' then
  local known = redis.call('get', KEYS[3])
  if known and epoch then
    local at = string.find(known, ':')
    if string.sub(known, 1, at - 1) == epoch then return {epoch, tonumber(string.sub(known, at + 1))} end
  end
end
if not epoch then
  epoch = ARGV[10]
  redis.call('del', KEYS[2])
  redis.call('hset', KEYS[1], 'e', epoch)
end
local offset = redis.call('hincrby', KEYS[1], 'o', 1)
redis.call('xadd', KEYS[2], 'maxlen', ARGV[5], offset .. '-0', 'd', ARGV[4])
redis.call('expire', KEYS[2], ARGV[6])
redis.call('expire', KEYS[1], ARGV[7])
if ARGV[9] == '1' then redis.call('set', KEYS[3], epoch .. ':' .. offset, 'ex', ARGV[8]) end
redis.call(ARGV[2], ARGV[1], ARGV[3] .. offset .. ' ' .. epoch .. ' ' .. ARGV[4])
return {epoch, offset}
"""
)

# Where a stream stands, begun when it is not there: a subscriber's position must belong to an epoch.
# KEYS meta, stream. ARGV new_epoch, epoch_ttl_s. Answers {epoch, offset}.
POSITION = Script(
    """
local epoch = redis.call('hget', KEYS[1], 'e')
if not epoch then
  epoch = ARGV[1]
  redis.call('del', KEYS[2])
  redis.call('hset', KEYS[1], 'e', epoch, 'o', 0)
  redis.call('expire', KEYS[1], ARGV[2])
end
return {epoch, tonumber(redis.call('hget', KEYS[1], 'o') or '0')}
"""
)

# Take from a token bucket: as many of `wanted` as there are. Redis' own clock, so that workers need not agree on one.
# KEYS bucket. ARGV count, per_s, wanted. Answers {taken, milliseconds until there is one}.
TAKE = Script(
    """
local now = redis.call('time')
now = now[1] + now[2] / 1000000
local count, per = tonumber(ARGV[1]), tonumber(ARGV[2])
local found = redis.call('hmget', KEYS[1], 'l', 't')
local level, at = tonumber(found[1]) or count, tonumber(found[2]) or now
level = math.min(count, level + math.max(0, now - at) * count / per)
local taken = math.min(tonumber(ARGV[3]), math.floor(level))
if taken < 0 then level = math.min(count, level - tonumber(ARGV[3])) taken = 0 else level = level - taken end
redis.call('hset', KEYS[1], 'l', tostring(level), 't', tostring(now))
redis.call('expire', KEYS[1], math.ceil(per) + 1)
local wait = 0
if taken == 0 then wait = math.ceil((1 - level) * per / count * 1000) end
return {taken, wait}
"""
)

# A client is in a channel. KEYS presence. ARGV client, worker and info, ttl_s.
ENTER = Script(
    """
redis.call('hset', KEYS[1], ARGV[1], ARGV[2])
return redis.call('expire', KEYS[1], ARGV[3])
"""
)

# A person comes to (delta 1) or leaves (-1) a worker. KEYS online. ARGV delta, user, worker, ...other workers alive.
# Answers whether some other worker alive has that person, or (coming) this one had already.
MOVE = Script(
    """
local here = ARGV[2] .. '/' .. ARGV[3]
local known = 0
if ARGV[1] == '1' then
  known = 1 - redis.call('hset', KEYS[1], here, '1')
else
  redis.call('hdel', KEYS[1], here)
end
for i = 4, #ARGV do
  if redis.call('hexists', KEYS[1], ARGV[2] .. '/' .. ARGV[i]) == 1 then known = 1 end
end
return known
"""
)

# One beat of a worker's heart. KEYS workers, born. ARGV worker, lease_ms, mark. Answers {1 if it was not known, the
# mark that was there first, ...workers alive}: an unknown worker under a known mark has been taken for dead.
BEAT = Script(
    """
local now = redis.call('time')
now = now[1] * 1000 + math.floor(now[2] / 1000)
local last = redis.call('zscore', KEYS[1], ARGV[1])
redis.call('zadd', KEYS[1], now, ARGV[1])
redis.call('zremrangebyscore', KEYS[1], '-inf', now - 10 * ARGV[2])
redis.call('set', KEYS[2], ARGV[3], 'nx')
local alive = redis.call('zrangebyscore', KEYS[1], now - ARGV[2], '+inf')
table.insert(alive, 1, redis.call('get', KEYS[2]))
table.insert(alive, 1, (last and tonumber(last) >= now - ARGV[2]) and '0' or '1')
return alive
"""
)

# Take those of the named fields off the register whose worker is not alive. KEYS workers, online. ARGV lease_ms, then
# fields "user/worker". Answers those that were taken off.
BURY = Script(
    """
local now = redis.call('time')
now = now[1] * 1000 + math.floor(now[2] / 1000)
local dead = {}
for i = 2, #ARGV do
  local score = redis.call('zscore', KEYS[1], string.match(ARGV[i], '[^/]*$'))
  if not score or tonumber(score) < now - ARGV[1] then
    if redis.call('hdel', KEYS[2], ARGV[i]) == 1 then table.insert(dead, ARGV[i]) end
  end
end
return dead
"""
)
