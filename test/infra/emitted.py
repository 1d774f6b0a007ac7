"""Every metric that somebody emits, with its dimensions: afluxo's functions (src/lambda/metrics.def), the service, Lambda, SQS, API
Gateway, our log filters. What alarms and dashboards name must be in here; a metric that nobody emits makes an alarm that never rings.

The service's list is the developer guide's (page Monitoring), the others' are AWS's pages of metrics. None was seen live.
"""
import os
import re

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SERVICE = {  # metric -> its dimensions beside the instance's name
    **{name: set() for name in """CPUUtilization MemoryUtilization DiskUtilization HeapMemoryUsage ActiveMemoryAllocation ReadOpsPerSec
       WriteOpsPerSec TotalIOpsPerSec ReadThroughput WriteThroughput TotalBuckets EngineUptime WriteTimeouts ActiveTaskWorkers
       TaskExecutionFailures""".split()},
    "APIRequestRate": {"Endpoint", "Status"}, "QueryResponseVolume": {"Endpoint", "Status"}, "QueryRequestsTotal": {"Result"},
    "SeriesCardinality": {"Bucket"}}
AWS = {  # namespace -> (dimensions, metrics)
    "AWS/Lambda": ({"FunctionName"}, {"Errors", "Throttles", "Duration", "Invocations", "ConcurrentExecutions", "DeadLetterErrors",
                                      "AsyncEventsDropped", "AsyncEventAge"}),
    "AWS/SQS": ({"QueueName"}, {"ApproximateAgeOfOldestMessage", "ApproximateNumberOfMessagesVisible", "NumberOfMessagesSent",
                                "NumberOfMessagesDeleted", "NumberOfMessagesReceived"}),
    "AWS/ApiGateway": ({"ApiName", "Stage"}, {"5XXError", "4XXError", "Latency", "IntegrationLatency", "Count"}),
    "AWS/Scheduler": ({"ScheduleGroup"}, {"InvocationAttemptCount", "TargetErrorCount", "InvocationDroppedCount"})}


def ours():
    """metric -> the functions that publish it, as the groups of metrics.def name them."""
    out, group = {}, set()
    with open(os.path.join(ROOT, "src/lambda/metrics.def")) as f:
        for line in f:
            if m := re.match(r"/\* (?:the )?(\w+)", line):
                group, also = {m[1]}, re.search(r"; (.*) too", line)
                for name in re.findall(r"[A-Z]\w+", also[1] if also else ""):
                    out.setdefault(name, set()).update(group)
            if m := re.match(r"AF_X\((\w+),", line):
                out.setdefault(m[1], set()).update(group)
    return out


class Emitted:
    """`service`: namespace and dimension of the service's own metrics; `own`: afluxo's namespace; `filters`: metrics of log filters."""

    def __init__(self, own="Afluxo", service=("AWS/Timestream/InfluxDB", "DbInstanceName"), filters=()):
        self.own, self.service, self.filters, self.functions = own, service, set(filters), ours()

    def complaint(self, namespace, metric, dimensions):
        """None, or why nobody emits this."""
        given = set(dimensions)
        if namespace == self.own and metric in self.filters:
            return None if not given else f"{metric} of a log filter has no dimensions"
        if namespace == self.own:
            return self.complaint_own(metric, dimensions)
        if namespace == self.service[0] and metric in SERVICE:
            wanted = {self.service[1], *SERVICE[metric]}
        elif namespace in AWS and metric in AWS[namespace][1]:
            wanted = AWS[namespace][0]
        else:
            return f"nobody emits {namespace} {metric}"
        return None if given == wanted else f"{namespace} {metric} has the dimensions {sorted(wanted)}, not {sorted(given)}"

    def complaint_own(self, metric, dimensions):
        if metric not in self.functions:
            return f"no function publishes {metric}"
        if set(dimensions) != {"Function"}:
            return f"{metric} has the dimension Function, not {sorted(dimensions)}"
        who = dimensions["Function"].rpartition("-")[2]
        return None if who in self.functions[metric] else f"{metric} is published by {sorted(self.functions[metric])}, not by {who}"


def watched(alarm):
    """(namespace, metric, dimensions) of each metric that an alarm of a plan or state looks at."""
    queries = [query["metric"][0] for query in alarm.get("metric_query") or [] if query.get("metric")]
    return [(m["namespace"], m["metric_name"], m.get("dimensions") or {}) for m in queries or [alarm]]


def pictured(body):
    """The same of each line of a dashboard's body, with the picture's title before it."""
    out = []
    for widget in body["widgets"]:
        for line in widget["properties"].get("metrics", []):
            names = [part for part in line if isinstance(part, str)]
            out.append((widget["properties"]["title"], names[0], names[1], dict(zip(names[2::2], names[3::2]))))
    return out
