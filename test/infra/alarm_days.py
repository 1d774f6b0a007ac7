"""What a normal day looks like to the alarms, and the faults that each of them is for: tables, and what makes series of them.

Time is in minutes; each row gives the samples of a minute. Noise is the same at every run.
"""
import hashlib
import math
import re

import alarm_evaluator as ev

HISTORY = 31 * 60      # minutes before the day that is looked at: the longest alarm looks back 30 hours
FAULT = HISTORY + 10 * 60  # when a fault begins: at 17:00
END = FAULT + 50 * 60


def noise(minute, name):
    """From -1 to 1."""
    return int.from_bytes(hashlib.blake2b(f"{name} {minute}".encode(), digest_size=4).digest(), "big") / 2**31 - 1


def level(base, swing=0.0, rough=0.0, every=1, bursts=None):
    """A measure with the day's swing (highest at 20:00). bursts: {minute of the day: (minutes, value)}"""
    def samples(minute):
        if minute % every:
            return []
        for at, (length, value) in (bursts or {}).items():
            if 0 <= minute % 1440 - at < length:
                return [value]
        return [base + swing * math.sin((minute % 1440 - 840) / 1440 * 2 * math.pi) + rough * noise(minute, f"{base} {swing}")]
    return samples


def works(minute):
    """Files come between 05:00 and 23:00, more or less every second minute."""
    return 300 <= minute % 1440 < 1380 and noise(minute, "file") > 0


def loads(value, rough=0.0, blips=()):
    """A sample an invocation of the loader; blips: minutes of the day with a one."""
    def samples(minute):
        if minute % 1440 in blips:
            return [1]
        return [value + rough * noise(minute, value)] * 2 if works(minute) else []
    return samples


def asked(*values):
    """Five requests a minute by day."""
    return lambda minute: [values[(minute + i) % len(values)] for i in range(5)] if 420 <= minute % 1440 < 1320 else []


def at_work(count, every_minute=True):
    """SQS's counts: every minute while the queue is in use; what came is loaded within two minutes."""
    return lambda minute: [count if works(minute - (0 if every_minute else 1)) else 0]


# (whose, metric) -> what it is on a normal day. A single failure now and then is normal: it must wake nobody.
NORMAL = {
    ("monitor", "ConnectSuccess"): level(1, bursts={257: (1, 0)}),
    ("monitor", "WriteSuccess"): level(1, bursts={257: (1, 0), 900: (2, 0)}),
    ("monitor", "QuerySuccess"): level(1, bursts={258: (1, 0)}),
    ("monitor", "QueryTimeouts"): level(0, bursts={700: (1, 1)}),
    ("monitor", "WriteMs"): level(60, 30, 20, bursts={180: (6, 2500)}),
    ("monitor", "QueryMs"): level(120, 60, 40, bursts={180: (6, 5000)}),
    ("monitor", "TlsDaysLeft"): level(200),
    ("monitor", "TokenDaysLeft"): level(60),
    ("instance", "CPUUtilization"): level(45, 22, 8, bursts={180: (12, 99)}),  # a nightly query, and compactions
    ("instance", "MemoryUtilization"): level(65, 8, 3),
    ("instance", "DiskUtilization"): lambda minute: [40 + minute / 1440 * 0.2 + 0.8 * noise(minute // 180, "compaction")],
    ("instance", "TotalIOpsPerSec"): level(900, 500, 300, bursts={180: (12, 2900)}),
    ("instance", "SeriesCardinality"): level(120000, 2000),
    ("instance", "WriteTimeouts"): level(0, bursts={190: (1, 3)}),
    ("instance", "EngineUptime"): lambda minute: [864000 + minute * 60],
    ("loader", "Errors"): loads(0, blips=(600,)),
    ("loader", "Throttles"): loads(0, blips=(610,)),
    ("loader", "Duration"): loads(9000, 6000),
    ("loader", "BatchesFailed"): loads(0, blips=(620,)),
    ("loader", "ObjectsFailed"): loads(0),
    ("loader", "PointsRejected"): loads(0),
    ("arrivals", "ApproximateAgeOfOldestMessage"): lambda minute: [45 + 40 * noise(minute, "age")] if works(minute) else [0],
    ("arrivals", "NumberOfMessagesSent"): at_work(4),
    ("arrivals", "NumberOfMessagesDeleted"): at_work(4, False),
    ("dead-letters", "ApproximateNumberOfMessagesVisible"): level(0),
    ("failures", "ApproximateNumberOfMessagesVisible"): level(0),
    ("api", "5XXError"): lambda minute: asked(0)(minute) if minute % 211 else [1, 0, 0, 0, 0],
    ("api", "Latency"): asked(80, 120, 300, 900, 150),
    ("query", "Errors"): lambda minute: asked(0)(minute) if minute % 1440 != 777 else [1],
    ("scaler", "Errors"): level(0, every=15, bursts={450: (15, 1)}),
    ("scaler", "ScalerRefusals"): level(0, every=15),
    ("backup", "BackupAgeHours"): lambda minute: [] if minute % 15 else [(minute - 380) % 1440 / 60],  # made at 06:10
    ("backup", "RestoreTestOk"): lambda minute: [1] * (minute % 1440 == 510),
    ("backup", "RestoreTestAgeHours"): level(80, every=15),
}


def always(*values):
    return lambda minute: list(values)


def never(minute):
    return []


def every(minutes, value):
    return lambda minute: [] if minute % minutes else [value]


class Then:
    """One thing during a fault, another as long again after it: `after` gets the minutes since."""

    def __init__(self, during, after):
        self.during, self.after = during, after


OLDER = lambda minute: [(minute - FAULT) * 60]  # noqa: E731 the oldest message waits since the fault began
BACKLOG = {("arrivals", "NumberOfMessagesDeleted"): Then(always(0), lambda since: [12]),  # loaded six times as fast as it comes
           ("arrivals", "ApproximateAgeOfOldestMessage"): Then(OLDER, lambda since: [max(45, 3600 - 300 * since)])}


def rising(start, a_day):
    return lambda minute: [start + (minute - FAULT) / 1440 * a_day]


# alarm -> (what happens, {whose metric: what it is from then on}, minutes until it rings, other alarms that ring with reason)
FAULTS = {
    "connection-lost": ("InfluxDB does not answer", {("monitor", "ConnectSuccess"): always(0)}, 3, ()),
    "write-failed": ("the token may not write", {("monitor", "WriteSuccess"): always(0)}, 3, ()),
    "query-failed": ("what was written is not there", {("monitor", "QuerySuccess"): always(0)}, 3, ()),
    "query-timeouts": ("every query takes more than its time", {("monitor", "QueryTimeouts"): always(1)}, 2, ()),
    "write-slow": ("a write takes three seconds", {("monitor", "WriteMs"): always(3000)}, 11, ()),
    "query-slow": ("a query takes five seconds", {("monitor", "QueryMs"): always(5000)}, 11, ()),
    "certificate-ends": ("29 days are left", {("monitor", "TlsDaysLeft"): always(29)}, 1, ()),
    "token-ends": ("13 days are left", {("monitor", "TokenDaysLeft"): always(13)}, 1, ()),
    "cpu-high": ("the processor is at 95 %", {("instance", "CPUUtilization"): always(95)}, 13, ()),
    "memory-high": ("memory is at 92 %", {("instance", "MemoryUtilization"): always(92)}, 14, ()),
    "disk-filling": ("the disk is at 76 %", {("instance", "DiskUtilization"): always(76)}, 11, ()),
    "disk-full-soon": ("the disk gains 12 % a day", {("instance", "DiskUtilization"): rising(41, 12)}, 1058, ()),
    "operations-high": ("2,800 operations a second of 3,000", {("instance", "TotalIOpsPerSec"): always(2800)}, 13, ()),
    "series-many": ("a tag that is different in every point", {("instance", "SeriesCardinality"): always(1200000)}, 1, ()),
    "write-timeouts": ("the engine gives up on writes", {("instance", "WriteTimeouts"): always(2)}, 6, ()),
    "restarted": ("the engine was started anew", {("instance", "EngineUptime"): lambda minute: [(minute - FAULT) * 60]}, 1, ()),
    "loader-errors": ("every invocation ends in an error", {("loader", "Errors"): always(1)}, 6, ()),
    "loader-throttled": ("the account's concurrency is used up", {("loader", "Throttles"): always(3)}, 11, ()),
    "loader-slow": ("loads take 110 of 120 seconds", {("loader", "Duration"): always(110000)}, 12, ()),
    "batches-failed": ("InfluxDB refuses batches", {("loader", "BatchesFailed"): always(1)}, 6, ()),
    "objects-failed": ("one broken file", {("loader", "ObjectsFailed"): lambda minute: [int(minute == FAULT)]}, 1, ()),
    "points-rejected": ("one file with rows that are no points",
                        {("loader", "PointsRejected"): lambda minute: [7 * (minute == FAULT)]}, 1, ()),
    "queue-ages": ("the loader was switched off", BACKLOG, 22, ("queue-grows",)),
    "queue-grows": ("six files a minute come, four are loaded", {("arrivals", "NumberOfMessagesSent"): always(6),
                                                                ("arrivals", "NumberOfMessagesDeleted"): always(4)}, 41, ()),
    "dead-letters": ("one message was given up", {("dead-letters", "ApproximateNumberOfMessagesVisible"): always(1)}, 1, ()),
    "failures-kept": ("one file was given up", {("failures", "ApproximateNumberOfMessagesVisible"): always(1)}, 1, ()),
    "api-errors": ("a tenth of the answers are 502", {("api", "5XXError"): always(1, 0, 0, 0, 0, 0, 0, 0, 0, 0)}, 6, ()),
    "api-slow": ("answers take four seconds", {("api", "Latency"): always(4000)}, 12, ()),
    "query-errors": ("the query function fails", {("query", "Errors"): always(1, 0)}, 6, ()),
    "scaler-errors": ("the scaler fails each time", {("scaler", "Errors"): every(15, 1)}, 31, ()),
    "backup-old": ("the nightly backup is not made", {("backup", "BackupAgeHours"): every(15, 31)}, 121, ()),
    "restore-test-failed": ("the restored instance lacks a day", {("backup", "RestoreTestOk"): lambda minute: [0] * (minute == FAULT)}, 1, ()),
    "restore-test-old": ("restore tests are given up, again and again", {("backup", "RestoreTestAgeHours"): every(15, 220)}, 1, ()),
    "scaler-refused": ("the service refuses a change of size", {("scaler", "ScalerRefusals"): every(15, 1)}, 1, ()),
}

# One fault that many alarms see. what -> (series, how long in minutes, the pages, the tickets, alarms that must ring among others)
DISASTERS = {
    "InfluxDB is away for an hour": ({
        **{key: never for key in NORMAL if key[0] in ("monitor", "instance")}, ("monitor", "ConnectSuccess"): always(0),
        ("loader", "BatchesFailed"): always(2), ("loader", "Duration"): always(100000), **BACKLOG, ("api", "5XXError"): always(1),
        ("query", "Errors"): always(1)}, 60, ["database"], [], {"connection-lost", "batches-failed", "queue-ages"}),
    "the disk is slow: all is slow, nothing fails": ({
        ("monitor", "WriteMs"): always(3000), ("monitor", "QueryMs"): always(6000), ("instance", "TotalIOpsPerSec"): always(2990),
        ("instance", "CPUUtilization"): always(90)}, 90, [], ["resources"], {"write-slow", "query-slow", "operations-high", "cpu-high"}),
    "the monitor stops": ({key: never for key in NORMAL if key[0] == "monitor"}, 60, ["database"], [], {"connection-lost"}),
    "a broken release of the loader": ({
        ("loader", "Errors"): always(1), ("loader", "Duration"): always(50), ("loader", "BatchesFailed"): never,
        ("loader", "ObjectsFailed"): never, ("loader", "PointsRejected"): never, **BACKLOG}, 60, ["ingestion"], [],
        {"loader-errors", "queue-ages"}),
    "a delivery of broken files": ({
        ("loader", "ObjectsFailed"): always(3), ("loader", "PointsRejected"): always(100),
        ("failures", "ApproximateNumberOfMessagesVisible"): lambda minute: [minute - FAULT]}, 40, [], ["data"],
        {"objects-failed", "points-rejected", "failures-kept"}),
}


def whose(namespace, dimensions, prefix):
    """The row's first word for a metric's dimensions: loader, monitor, arrivals, api, instance ..."""
    if "ApiName" in dimensions:
        return "api"
    name = dimensions.get("Function") or dimensions.get("FunctionName") or dimensions.get("QueueName")
    return re.sub(f"^{prefix}-", "", name) if name else "instance"


class Overlay(ev.Metrics):
    """The base's metrics but for some, which are its own; what was computed of the others is not computed again."""

    def __init__(self, base, own):
        super().__init__()
        self.base, self.own = base, set(own)

    def value(self, key, start, minutes, name):
        return super().value(key, start, minutes, name) if key in self.own else self.base.value(key, start, minutes, name)


def normal(keys, until=END):
    """keys: (whose, metric) -> CloudWatch's key."""
    out = ev.Metrics()
    for row, key in keys.items():
        for minute in range(until):
            out.put(key, minute, *NORMAL[row](minute))
    return out


def disturbed(base, keys, series, length, until=END):
    """The base with other series from FAULT on for so many minutes."""
    out = Overlay(base, [keys[row] for row in series if row in keys])
    for row, samples in series.items():
        for minute in range(until) if row in keys else ():
            during = samples.during if isinstance(samples, Then) else samples
            since = minute - FAULT - length
            if -length <= since < 0:
                values = during(minute)
            elif isinstance(samples, Then) and 0 <= since < length:
                values = samples.after(since)
            else:
                values = NORMAL[row](minute)
            out.put(keys[row], minute, *values)
    return out
