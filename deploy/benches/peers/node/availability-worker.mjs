// Takes changes from the quorum queue, calculates the free windows of 28 days, stores them if they are newer
// than what is there, says so on the exchange, and acknowledges.
import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import Redis from "ioredis";
import { address, channel as connect, envelope, publish, QUEUE } from "./topology.mjs";

const DAY = 24 * 60;
const HORIZON_DAYS = 28;
const WEEKDAYS = ["SU", "MO", "TU", "WE", "TH", "FR", "SA"];

const formats = new Map();
const offsets = new Map();

/** The zone's offset from UTC, in minutes, at an instant in minutes. */
function offsetAt(zone, minute) {
  const key = `${zone} ${Math.floor(minute / 60)}`;
  const known = offsets.get(key);
  if (known !== undefined) return known;
  let format = formats.get(zone);
  if (!format) {
    format = new Intl.DateTimeFormat("en", { timeZone: zone, timeZoneName: "longOffset" });
    formats.set(zone, format);
  }
  const name = format.formatToParts(minute * 60_000).find((part) => part.type === "timeZoneName").value;
  const [, sign, hours, minutes] = /GMT(?:([+-])(\d\d):(\d\d))?/.exec(name);
  const offset = sign ? (sign === "-" ? -1 : 1) * (Number(hours) * 60 + Number(minutes)) : 0;
  if (offsets.size > 100_000) offsets.clear();
  offsets.set(key, offset);
  return offset;
}

/** A local time of a day (days since 1970) as an instant; gaps and folds are left to chance here. */
function instant(zone, day, time) {
  const [hours, minutes] = time.split(":").map(Number);
  const local = day * DAY + hours * 60 + minutes;
  return local - offsetAt(zone, local - offsetAt(zone, local));
}

const minute = (text) => Math.floor(Date.parse(text) / 60_000);

/** The free windows between two instants in minutes. */
export function freeWindows(schedule, from, to) {
  if (schedule.status !== "active") return [];
  const working = [];
  const overrides = new Map(schedule.dateOverrides.map((override) => [override.date, override.windows]));
  for (let day = Math.floor(from / DAY) - 1; day <= Math.floor(to / DAY) + 1; day += 1) {
    const date = new Date(day * DAY * 60_000);
    const name = WEEKDAYS[date.getUTCDay()];
    const windows =
      overrides.get(date.toISOString().slice(0, 10)) ??
      schedule.workingHours.filter((hours) => hours.days.includes(name));
    for (const { start, end } of windows) {
      const last = end <= start ? day + 1 : day;
      working.push([instant(schedule.timeZone, day, start), instant(schedule.timeZone, last, end)]);
    }
  }
  const busy = [
    ...schedule.timeOff.map((off) => [minute(off.start), minute(off.end)]),
    ...schedule.jobs.map((job) => [
      minute(job.start) - job.bufferBeforeMinutes,
      minute(job.end) + job.bufferAfterMinutes,
    ]),
  ];
  return subtract(merge(working), merge(busy), from, to);
}

function merge(intervals) {
  const merged = [];
  for (const [start, end] of intervals.sort((a, b) => a[0] - b[0])) {
    const last = merged.at(-1);
    if (last && start <= last[1]) last[1] = Math.max(last[1], end);
    else if (end > start) merged.push([start, end]);
  }
  return merged;
}

function subtract(working, busy, from, to) {
  const free = [];
  let next = 0;
  for (const [start, end] of working) {
    let at = Math.max(start, from);
    const until = Math.min(end, to);
    while (next < busy.length && busy[next][1] <= at) next += 1;
    for (let place = next; place < busy.length && busy[place][0] < until; place += 1) {
      if (busy[place][0] > at) free.push([at, busy[place][0]]);
      at = Math.max(at, busy[place][1]);
    }
    if (at < until) free.push([at, until]);
  }
  return free;
}

const redis = new Redis(process.env.REDIS_URL);
redis.defineCommand("putIfNewer", {
  numberOfKeys: 1,
  lua: `local held = tonumber(redis.call("HGET", KEYS[1], "version") or "0")
        if held > tonumber(ARGV[1]) then return 0 end
        redis.call("HSET", KEYS[1], "version", ARGV[1], "windows", ARGV[2], "schedule", ARGV[3])
        return 1`,
});

const broker = await connect();
await broker.prefetch(300);
await broker.consume(QUEUE, async (message) => {
  const { schedule } = JSON.parse(message.content).data;
  const now = Math.floor(Date.now() / 60_000);
  const from = now - (now % DAY);
  const to = from + HORIZON_DAYS * DAY;
  const windows = freeWindows(schedule, from, to);
  const { contractorId, territory, version } = schedule;
  const newest = await redis.putIfNewer(
    `node-peer:${contractorId}`,
    version,
    JSON.stringify(windows),
    JSON.stringify(schedule),
  );
  if (newest) {
    const data = {
      contractorId,
      territory,
      version,
      calculatedAt: new Date().toISOString(),
      horizon: { from: new Date(from * 60_000).toISOString(), to: new Date(to * 60_000).toISOString() },
      windowsEpochMinutes: windows,
      conflicts: [],
    };
    const body = envelope(randomUUID(), "rosterwire.availability.updated.v1", "/availability-worker", data);
    await publish(broker, `availability.updated.v1.${territory}`, body);
  }
  broker.ack(message);
});

// Says that it is ready.
createServer((_, answer) => answer.end("ready\n")).listen(address());
