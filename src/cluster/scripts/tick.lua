-- incarnation, lease in ms, channel, most users at once, "begin", "go on" or "end"
local incarnation, lease, most, step = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[4]), ARGV[5]

-- Where nobody has ticked for a while Redis was away, and no lease has ended by that.
local last = tonumber(redis.call('HGET', told, ' tick') or now)
if now - last > lease / 3 then
  for _, node in ipairs(redis.call('ZRANGE', nodes, 0, -1)) do
    redis.call('ZADD', nodes, now + lease, node)
  end
end
redis.call('HSET', told, ' tick', now)
redis.call('HSETNX', told, ' epoch', incarnation)

-- Whoever begins says who is here before anybody's lease is looked at.
if step == 'begin' then
  redis.call('ZADD', nodes, now + lease, incarnation)
  return {'ok', 0, 0}
end
if step == 'end' then
  redis.call('ZADD', nodes, now, incarnation)
elseif alive(incarnation) then
  redis.call('ZADD', nodes, now + lease, incarnation)
else
  return {'lost', 0, 0}
end

-- Whose lease has ended is not here any more.
local more = 0
local dead = redis.call('ZRANGEBYSCORE', nodes, 0, now, 'LIMIT', 0, 1)[1]
if dead then
  local gone = redis.call('ZRANGEBYLEX', bynode, '[' .. dead .. '/', '(' .. dead .. '0', 'LIMIT', 0, most)
  for _, member in ipairs(gone) do
    local user = string.sub(member, #dead + 2)
    redis.call('ZREM', bynode, member)
    redis.call('ZREM', byuser, user .. '/' .. dead)
    if not here(user) then redis.call('ZADD', away, 'NX', now, user) end
  end
  if #gone < most then redis.call('ZREM', nodes, dead) end
  more = 1
end

-- Who has been away for long enough is told to be: also where that is not news here, since a node may
-- have heard what Redis has forgotten.
local due, offline = redis.call('ZRANGEBYSCORE', away, 0, now, 'LIMIT', 0, most), {}
for _, user in ipairs(due) do
  redis.call('ZREM', away, user)
  if not here(user) then
    redis.call('HDEL', told, user)
    offline[#offline + 1] = {user, 'offline', now}
  end
end
tell(ARGV[3], offline)
if #due == most then more = 1 end
return {'ok', more, redis.call('ZCOUNT', nodes, '(' .. now, '+inf')}
