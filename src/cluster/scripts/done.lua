-- What a node has taken of emitters is done: anybody's turn, unless it has taken more.
--   KEYS[1]  whose turn it is
--   ARGV[1]  whose it was when that was taken
if redis.call('GET', KEYS[1]) == ARGV[1] then
  redis.call('SET', KEYS[1], '', 'PX', 1)
end
