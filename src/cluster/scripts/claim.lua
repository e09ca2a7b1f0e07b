-- Which messages of emitters are this node's to take: for each key the number up to which they were taken
-- before, by whichever node. Nothing where some are not taken and it is another node's turn.
--   KEYS[1]  whose turn it is: a node's name, and that of its last claim
--   then     for a mark and a subscription: the number of the last message that was taken
--   ARGV[1]  this node
--   ARGV[2]  whose turn it is when this node takes some
--   ARGV[3]  milliseconds for which it is
--   ARGV[4]  milliseconds after a mark for which messages may be taken; whoever is later leaves them
--   ARGV[5]  milliseconds for which a key is kept, which is longer
--   then for each key when its mark was set, and the number of the last message that this node has heard
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local taken, takes = {}, {}
for i = 2, #KEYS do
  local marked, last = tonumber(ARGV[2 * i + 2]), tonumber(ARGV[2 * i + 3])
  local before = tonumber(redis.call('GET', KEYS[i]) or '0')
  if now - marked >= tonumber(ARGV[4]) then
    before = last
  elseif last > before then
    takes[KEYS[i]] = last
  end
  taken[i - 1] = before
end
if next(takes) then
  local turn = redis.call('GET', KEYS[1]) or ''
  if turn ~= '' and string.sub(turn, 1, #ARGV[1]) ~= ARGV[1] then
    return {}
  end
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
  for key, last in pairs(takes) do
    redis.call('SET', key, last, 'PX', ARGV[5])
  end
end
return taken
