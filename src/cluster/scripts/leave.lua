-- incarnation, grace in ms, users: the last connection of each ended there
local incarnation, due = ARGV[1], now + tonumber(ARGV[2])
for i = 3, #ARGV do
  local user = ARGV[i]
  redis.call('ZREM', byuser, user .. '/' .. incarnation)
  redis.call('ZREM', bynode, incarnation .. '/' .. user)
  if not here(user) then redis.call('ZADD', away, 'NX', due, user) end
end
return 'ok'
