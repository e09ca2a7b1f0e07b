-- Tells all nodes a name from which they number the messages of emitters, and when.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
redis.call('PUBLISH', ARGV[1], ARGV[2] .. ' ' .. string.format('%.0f', now))
