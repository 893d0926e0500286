-- wrk script, told by the environment what to ask:
--   LOAD_METHOD, LOAD_PATH   {id} in the path becomes a random line of the file LOAD_IDS
--   LOAD_SEED                the same seed asks for the same ids in the same order
--   LOAD_BODY, LOAD_RUN      {n} in the body becomes LOAD_RUN and a counter: unique text

local method, path, body = os.getenv("LOAD_METHOD"), os.getenv("LOAD_PATH"), os.getenv("LOAD_BODY")
if body == "" then body = nil end
local run = os.getenv("LOAD_RUN") .. "-"
local ids, count = {}, 0

if path:find("{id}", 1, true) then
  for line in io.lines(os.getenv("LOAD_IDS")) do ids[#ids + 1] = line end
end
math.randomseed(tonumber(os.getenv("LOAD_SEED")))

local path_start, path_end = path:match("^(.-){id}(.*)$")
local body_start, body_end = (body or ""):match("^(.-){n}(.*)$")

request = function()
  local target, content = path, body
  if path_start then target = path_start .. ids[math.random(#ids)] .. path_end end
  if body_start then
    count = count + 1
    content = body_start .. run .. count .. body_end
  end
  return wrk.format(method, target, nil, content)
end

done = function(summary, latency)
  local e = summary.errors
  io.write(string.format(
    'RESULT {"requests":%d,"bytes":%d,"us":%d,"p50_us":%d,"p99_us":%d,"errors":%d}\n',
    summary.requests, summary.bytes, summary.duration, latency:percentile(50),
    latency:percentile(99), e.status + e.connect + e.read + e.write + e.timeout))
end
