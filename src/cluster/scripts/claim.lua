-- Which messages of emitters are this node's to take: for each key the number up to which they were taken
-- before, by whichever node.
--   KEYS     for a mark and a subscription: the number of the last message that was taken
--   ARGV[1]  milliseconds after a mark for which messages may be taken; whoever is later leaves them
--   ARGV[2]  milliseconds for which a key is kept, which is longer
--   then for each key when its mark was set, and the number of the last message that this node has heard
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local taken = {}
for i, key in ipairs(KEYS) do
  local marked, last = tonumber(ARGV[2 * i + 1]), tonumber(ARGV[2 * i + 2])
  local before = tonumber(redis.call('GET', key) or '0')
  if now - marked >= tonumber(ARGV[1]) then
    before = last
  elseif last > before then
    redis.call('SET', key, last, 'PX', ARGV[2])
  end
  taken[i] = before
end
return taken
