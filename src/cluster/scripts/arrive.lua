-- incarnation, channel, users: the first connection of each opened there
local incarnation, online = ARGV[1], {}
if not alive(incarnation) then return 'lost' end
for i = 3, #ARGV do
  local user = ARGV[i]
  redis.call('ZADD', byuser, 0, user .. '/' .. incarnation)
  redis.call('ZADD', bynode, 0, incarnation .. '/' .. user)
  redis.call('ZREM', away, user)
  if redis.call('HSETNX', told, user, now) == 1 then online[#online + 1] = {user, 'online', now} end
end
tell(ARGV[2], online)
return 'ok'
