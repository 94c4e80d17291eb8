-- Timers that can be cancelled.
local uv = vim.loop
local M = {}

local MAX_TIMERS, count = 32, 0
M.defaults = { delay = 100 }

---@class Timer
---@field handle any
local Timer = {}
Timer.__index = Timer

--- Makes a timer.
---@param delay number
function Timer.new(delay)
  local self = setmetatable({}, Timer)
  self.handle = uv.new_timer()
  self.delay = delay or M.defaults.delay
  return self
end

function Timer:start(callback, ...)
  local args = { ... }
  local function fire()
    callback(unpack(args))
  end
  self.handle:start(self.delay, 0, fire)
end

local function clamp(n)
  return math.min(n, MAX_TIMERS)
end

M.debounce = function(fn, delay)
  local timer = Timer.new(delay)
  return function(...)
    timer:start(fn, ...)
  end
end

local throttle = function(fn)
  return fn
end

M.actions = {
  stop = function(timer)
    timer.handle:stop()
  end,
}

function global_reset()
  count = clamp(0)
end

return M
