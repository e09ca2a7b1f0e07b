-- Who is here, on which node. Times are Redis's, in milliseconds.
--   nodes   zset: when the lease of each incarnation of a node ends
--   byuser  zset by lex: user/incarnation
--   bynode  zset by lex: incarnation/user
--   told    hash: since when each user who is told to be online is; and, under names that no user has,
--           the first incarnation since this was empty (" epoch") and when a node ticked last (" tick")
--   away    zset: when it is due to tell that a user has gone
local nodes, byuser, bynode, told, away = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)

local function alive(incarnation)
  local ends = redis.call('ZSCORE', nodes, incarnation)
  return ends and tonumber(ends) > now
end

-- '0' is what comes after '/'.
local function here(user)
  for _, member in ipairs(redis.call('ZRANGEBYLEX', byuser, '[' .. user .. '/', '(' .. user .. '0')) do
    if alive(string.sub(member, #user + 2)) then return true end
  end
  return false
end

local function tell(channel, changes)
  if #changes > 0 then redis.call('PUBLISH', channel, cjson.encode(changes)) end
end

