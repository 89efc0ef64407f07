#!/usr/bin/env python3
"""How a contractor's availability is calculated, straightforwardly, with Python's zoneinfo.

Reads one JSON document a line from the file that is named, {"schedule": ..., "from": ..., "to": ...}, the schedule as the
API gives it and the range in minutes since 1970-01-01T00:00Z. Calculates all of them, again and again for the seconds
that are named, and prints one JSON document: how many a second, and what was found, [[windows, conflicts], ...].
"""

import json
import sys
import time
from datetime import date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

UTC = timezone.utc
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
DAYS = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"]


def exists(local):
    """Whether a local time is on the wall clock at all."""
    back = local.astimezone(UTC).astimezone(local.tzinfo)
    return back.replace(tzinfo=None) == local.replace(tzinfo=None)


def resolve(naive, zone, is_end):
    """The instant of a local time: a gap takes the offset before it, a fold its first time for a start, its second for an end."""
    first = naive.replace(tzinfo=zone, fold=0)
    if not exists(first):
        return first.astimezone(UTC), True
    return naive.replace(tzinfo=zone, fold=1 if is_end else 0).astimezone(UTC), False


def merge(intervals):
    merged = []
    for start, end in sorted(intervals):
        if merged and start <= merged[-1][1]:
            merged[-1][1] = max(merged[-1][1], end)
        else:
            merged.append([start, end])
    return merged


def subtract(intervals, blocked):
    left, next_block = [], 0
    for start, end in intervals:
        while next_block < len(blocked) and blocked[next_block][1] <= start:
            next_block += 1
        at = next_block
        while at < len(blocked) and blocked[at][0] < end:
            if blocked[at][0] > start:
                left.append([start, blocked[at][0]])
            start = max(start, blocked[at][1])
            at += 1
        if start < end:
            left.append([start, end])
    return left


def working(schedule, zone, begin, until):
    found = []
    day = begin.date() - timedelta(days=3)
    while day <= until.date() + timedelta(days=2):
        windows = schedule["overrides"].get(day)
        if windows is None:
            windows = schedule["weekly"][day.weekday()]
        midnight = datetime(day.year, day.month, day.day)
        for start, end in windows:
            begins, start_in_gap = resolve(midnight + start, zone, False)
            ends, end_in_gap = resolve(midnight + end, zone, True)
            if start_in_gap and end_in_gap:
                continue
            begins, ends = max(begins, begin), min(ends, until)
            if begins < ends:
                found.append([begins, ends])
        day += timedelta(days=1)
    return merge(found)


def availability(schedule, begin, until):
    zone = schedule["zone"]
    active = schedule["status"] == "active"
    jobs = schedule["jobs"]
    windows = []
    if active:
        blocked = [[t["start"], t["end"]] for t in schedule["timeOff"]]
        blocked += [[j["start"] - j["before"], j["end"] + j["after"]] for j in jobs]
        windows = subtract(working(schedule, zone, begin, until), merge(blocked))
    conflicts = []
    time_off = merge([[t["start"], t["end"]] for t in schedule["timeOff"]])
    covered = []
    if active and jobs:
        first, last = min(j["start"] for j in jobs), max(j["end"] for j in jobs)
        covered = working(schedule, zone, first - timedelta(days=1), last + timedelta(days=1))
    for job in jobs:
        if not active:
            conflicts.append([job["id"], "contractorInactive"])
        elif any(start < job["end"] and job["start"] < end for start, end in time_off):
            conflicts.append([job["id"], "timeOff"])
        elif not any(start <= job["start"] and job["end"] <= end for start, end in covered):
            conflicts.append([job["id"], "outsideWorkingHours"])
    return windows, conflicts


def instant(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def window(document):
    def clock(text):
        return timedelta(hours=int(text[:2]), minutes=int(text[3:]))

    start, end = clock(document["start"]), clock(document["end"])
    return start, end if end > start else end + timedelta(days=1)


def prepare(document):
    """The schedule in Python's types: what reading it costs is not measured."""
    weekly = [[] for _ in DAYS]
    for hours in document["workingHours"]:
        for day in hours["days"]:
            weekly[DAYS.index(day)].append(window(hours))
    return {
        "zone": ZoneInfo(document["timeZone"]),
        "status": document["status"],
        "weekly": weekly,
        "overrides": {
            date.fromisoformat(o["date"]): [window(w) for w in o["windows"]] for o in document["dateOverrides"]
        },
        "timeOff": [{"start": instant(t["start"]), "end": instant(t["end"])} for t in document["timeOff"]],
        "jobs": [
            {
                "id": j["id"],
                "start": instant(j["start"]),
                "end": instant(j["end"]),
                "before": timedelta(minutes=j["bufferBeforeMinutes"]),
                "after": timedelta(minutes=j["bufferAfterMinutes"]),
            }
            for j in document["jobs"]
        ],
    }


def main():
    path, seconds = sys.argv[1], float(sys.argv[2])
    with open(path, encoding="utf-8") as lines:
        documents = [json.loads(line) for line in lines]
    cases = [
        (prepare(d["schedule"]), EPOCH + d["from"] * MINUTE, EPOCH + d["to"] * MINUTE) for d in documents
    ]
    found = [availability(*case) for case in cases]
    done, begun = 0, time.perf_counter()
    while time.perf_counter() - begun < seconds:
        for case in cases:
            availability(*case)
        done += len(cases)
    rate = done / (time.perf_counter() - begun)
    minutes = [
        [[[(start - EPOCH) // MINUTE, (end - EPOCH) // MINUTE] for start, end in windows], conflicts]
        for windows, conflicts in found
    ]
    json.dump({"per_second": rate, "found": minutes}, sys.stdout)


if __name__ == "__main__":
    main()
