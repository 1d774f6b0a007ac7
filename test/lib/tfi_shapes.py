"""What the operations of Timestream for InfluxDB may be asked: names, kinds and limits of every member.

The source of all of it is the service's own model (API 2023-01-27 with the backups of August 2026), as the API reference prints it and
as AWS's SDKs carry it; test_aws_plane.py compares this table with botocore's copy, member by member. Rules that no model tells, because
they join several members or come from a guide's page, are in tfi_service.py.

    Malformed        a value of the wrong JSON kind: the service does not get as far as validation (SerializationException)
    complaints()     everything that is wrong with values of the right kind, in the words of AWS's other services (ours are not known)
"""
import re

MODEL = "API reference of Timestream for InfluxDB, 2023-01-27"


class Malformed(Exception):
    pass


class Text:
    """A string: length, then a pattern that all of it must match."""

    def __init__(self, low=None, high=None, pattern=None, secret=False):
        self.low, self.high, self.pattern, self.secret = low, high, pattern, secret

    def check(self, value, path, say):
        if not isinstance(value, str):
            raise Malformed(f"{path} must be a string")
        shown = "Value" if self.secret else f"Value '{value}'"
        if self.low is not None and len(value) < self.low:
            say(f"{shown} at '{path}' failed to satisfy constraint: Member must have length greater than or equal to {self.low}")
        if self.high is not None and len(value) > self.high:
            say(f"{shown} at '{path}' failed to satisfy constraint: Member must have length less than or equal to {self.high}")
        if self.pattern and not re.fullmatch(self.pattern, value):
            say(f"{shown} at '{path}' failed to satisfy constraint: Member must satisfy regular expression pattern: {self.pattern}")


class OneOf:
    def __init__(self, names):
        self.names = names.split()

    def check(self, value, path, say):
        if not isinstance(value, str):
            raise Malformed(f"{path} must be a string")
        if value not in self.names:
            say(f"Value '{value}' at '{path}' failed to satisfy constraint: Member must satisfy enum value set: [{', '.join(self.names)}]")


class Number:
    def __init__(self, low=None, high=None, kinds=(int,)):
        self.low, self.high, self.kinds = low, high, kinds

    def check(self, value, path, say):
        if isinstance(value, bool) or not isinstance(value, self.kinds):
            raise Malformed(f"{path} must be a number")
        if self.low is not None and value < self.low:
            say(f"Value '{value}' at '{path}' failed to satisfy constraint: Member must have value greater than or equal to {self.low}")
        if self.high is not None and value > self.high:
            say(f"Value '{value}' at '{path}' failed to satisfy constraint: Member must have value less than or equal to {self.high}")


class Flag:
    def check(self, value, path, say):
        if not isinstance(value, bool):
            raise Malformed(f"{path} must be true or false")


class Moment:
    """A time as ISO 8601 text (the model's timestampFormat)."""

    def check(self, value, path, say):
        if not isinstance(value, str) or not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", value):
            raise Malformed(f"{path} must be a time like 2026-11-25T13:00:00Z")


def count(value, low, high, path, say):
    if low is not None and len(value) < low:
        say(f"Value at '{path}' failed to satisfy constraint: Member must have length greater than or equal to {low}")
    if high is not None and len(value) > high:
        say(f"Value at '{path}' failed to satisfy constraint: Member must have length less than or equal to {high}")


class Items:
    def __init__(self, member, low=None, high=None):
        self.member, self.low, self.high = member, low, high

    def check(self, value, path, say):
        if not isinstance(value, list):
            raise Malformed(f"{path} must be a list")
        count(value, self.low, self.high, path, say)
        for i, item in enumerate(value):
            self.member.check(item, f"{path}.{i + 1}.member", say)


class Pairs:
    def __init__(self, key, value, low, high):
        self.key, self.value, self.low, self.high = key, value, low, high

    def check(self, value, path, say):
        if not isinstance(value, dict):
            raise Malformed(f"{path} must be an object")
        count(value, self.low, self.high, path, say)
        for key, item in value.items():
            self.key.check(key, f"{path}.key", say)
            self.value.check(item, f"{path}.{key}", say)


class Record:
    """An object. Members that it does not know are no error, as everywhere in AWS's JSON; `unknown` names them for the log."""

    def __init__(self, needs="", union=False, **members):
        self.needs, self.union, self.members = needs.split(), union, members

    def check(self, value, path, say):
        if not isinstance(value, dict):
            raise Malformed(f"{path or 'the request'} must be an object")
        dot = f"{path}." if path else ""
        given = [name for name in value if value[name] is not None]
        for name in self.needs:
            if name not in given:
                say(f"Value at '{dot}{name}' failed to satisfy constraint: Member must not be null")
        if self.union and len(given) != 1:
            say(f"Value at '{path}' failed to satisfy constraint: exactly one of [{', '.join(self.members)}] must be set")
        for name in given:
            if name in self.members:
                self.members[name].check(value[name], dot + name, say)

    def unknown(self, value):
        return sorted(set(value) - set(self.members))


def complaints(shape, value):
    """All that is wrong with `value`, in order; raises Malformed."""
    out = []
    shape.check(value, "", out.append)
    return out


def each(names, shape):
    return {name: shape for name in names.split()}


# --- names, ids, sizes ------------------------------------------------------------------------------------------------------------

FLAG, ANY_TEXT, ANY_INT = Flag(), Text(), Number()
ID = Text(3, 64, r"[a-zA-Z0-9]+")
NAME = Text(3, 40, r"[a-zA-Z][a-zA-Z0-9]*(-[a-zA-Z0-9]+)*")
CLUSTER_NAME = Text(3, 40, r"[a-zA-z][a-zA-Z0-9]*(-[a-zA-Z0-9]+)*")  # A-z is the model's
GROUP_NAME = Text(3, 64, r"[a-zA-Z][a-zA-Z0-9]*(-[a-zA-Z0-9]+)*")
ARN = Text(1, 1011, r"arn:aws[a-z\-]*:timestream\-influxdb:[a-z0-9\-]+:[0-9]{12}:"
                    r"(db\-instance|db\-cluster|db\-parameter\-group|db\-backup)/[a-zA-Z0-9]{3,64}")
USERNAME = Text(1, 64, secret=True)
PASSWORD = Text(8, 64, r"[a-zA-Z0-9]+", secret=True)
ORGANIZATION = Text(1, 64)
BUCKET = Text(2, 64, r'[^_"][^"]*')
PORT = Number(1024, 65535)
STORAGE = Number(20, 15360)
STORAGE_TYPE = OneOf("InfluxIOIncludedT1 InfluxIOIncludedT2 InfluxIOIncludedT3")
CLASS = OneOf("db.influx.medium db.influx.large db.influx.xlarge db.influx.2xlarge db.influx.4xlarge db.influx.8xlarge db.influx.12xlarge "
              "db.influx.16xlarge db.influx.24xlarge")
DEPLOYMENT = OneOf("SINGLE_AZ WITH_MULTIAZ_STANDBY")
CLUSTER_DEPLOYMENT = OneOf("MULTI_NODE_READ_REPLICAS")
ANY_DEPLOYMENT = OneOf("SINGLE_AZ WITH_MULTIAZ_STANDBY MULTI_NODE_READ_REPLICAS")
NETWORK = OneOf("IPV4 DUAL")
FAILOVER = OneOf("AUTOMATIC NO_FAILOVER")
SUBNETS = Items(Text(0, 64, r"subnet-[a-z0-9]+"), 1, 6)
SECURITY_GROUPS = Items(Text(0, 64, r"sg-[a-z0-9]+"), 1, 5)
KMS_KEY = Text(1, 2048, r"[a-zA-Z0-9:/_\-]+")
TAG_KEY = Text(1, 128)
TAGS = Pairs(TAG_KEY, Text(0, 256), 1, 200)
LOGS = Record("s3Configuration", s3Configuration=Record(
    "bucketName enabled", bucketName=Text(3, 63, r"[0-9a-z]+[0-9a-z\.\-]*[0-9a-z]+"), enabled=FLAG))
DAY = r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun):([01]\d|2[0-3]):[0-5]\d"
MAINTENANCE = Record("timezone preferredMaintenanceWindow",
                     timezone=Text(1, 64, r"(UTC|[A-Za-z_]+/[A-Za-z0-9_]+(/[A-Za-z0-9_]+)?)"),
                     preferredMaintenanceWindow=Text(0, 19, rf"$|^{DAY}-{DAY}"))
BACKUPS = Items(Record("type retentionDays enabled", type=OneOf("HOURLY DAILY WEEKLY MONTHLY CUSTOM_SCHEDULE CONTINUOUS"),
                       retentionDays=Number(1, 365), enabled=FLAG,
                       customSchedule=Text(9, 256, r"cron\(\S+ \S+ \S+ \S+ \S+ \S+\)")), 1, 4)
MODES = Items(OneOf("PRIMARY STANDBY REPLICA INGEST QUERY COMPACT PROCESS"), 1, 4)
TOPOLOGY = Record(union=True, InfluxDBv3Enterprise=Record("nodeGroups", nodeGroups=Items(
    Record("instanceModes instanceType count", instanceModes=MODES, instanceType=CLASS, count=Number(1, 13)), 1, 10)))
PAGE = {"nextToken": Text(1), "maxResults": Number(1, 100)}

# --- parameters of InfluxDB -------------------------------------------------------------------------------------------------------

DURATION = Record("durationType value", durationType=OneOf("hours minutes seconds milliseconds days"), value=Number(0))
SHARE = Record(union=True, percent=Text(2, 4, r"(?:100|[1-9]?[0-9])%"), absolute=Number(0, 1610612736000))
V2 = Record(
    logLevel=OneOf("debug info error"), tracingType=OneOf("log jaeger disabled"), sessionLength=Number(1, 2880),
    **each("fluxLogEnabled noTasks metricsDisabled pprofDisabled sessionRenewDisabled storageNoValidateFieldSize uiDisabled", FLAG),
    **each("queryConcurrency queryQueueSize storageWalMaxConcurrentWrites", Number(0, 256)),
    **each("storageMaxConcurrentCompactions storageSeriesFileMaxConcurrentSnapshotCompactions", Number(0, 64)),
    **each("influxqlMaxSelectBuckets influxqlMaxSelectPoint influxqlMaxSelectSeries queryInitialMemoryBytes queryMaxMemoryBytes "
           "queryMemoryBytes storageCacheMaxMemorySize storageCacheSnapshotMemorySize storageCompactThroughputBurst "
           "storageMaxIndexLogFileSize storageSeriesIdSetCacheSize", Number(0, 10**12)),
    **each("httpIdleTimeout httpReadHeaderTimeout httpReadTimeout httpWriteTimeout storageCacheSnapshotWriteColdDuration "
           "storageCompactFullWriteColdDuration storageRetentionCheckInterval storageWalMaxWriteDelay", DURATION))
V3_BOTH = {
    "logFilter": Text(0, 1024), "logFormat": OneOf("full"), "dataFusionRuntimeType": OneOf("multi-thread multi-thread-alt"),
    "dataFusionConfig": Text(pattern=r"[a-zA-Z0-9_.]+:[^,\s]+(?:,[a-zA-Z0-9_.]+:[^,\s]+)*"), "pluginRepositoryUrl": ANY_TEXT,
    "pluginRepositorySecretArn": Text(20, 2048, r"arn:(aws|aws-cn|aws-us-gov):secretsmanager:[a-z0-9\-]+:[0-9]{12}:secret:"
                                                r"[a-zA-Z0-9/_+=.@\-]+"),
    "queryFileLimit": Number(0, 1024), "queryLogSize": Number(1, 10000), "dataFusionNumThreads": Number(1, 2048),
    "dataFusionRuntimeMaxBlockingThreads": Number(1, 1024), "dataFusionRuntimeMaxIoEventsPerTick": Number(1, 4096),
    "dataFusionRuntimeThreadPriority": Number(-20, 19), "dataFusionMaxParquetFanout": Number(1, 10**6),
    "maxHttpRequestSize": Number(1024, 16 << 20), "walSnapshotSize": Number(1, 10000), "walMaxWriteBufferSize": Number(1, 10**6),
    "snapshottedWalFilesToKeep": Number(0, 10000), "parquetMemCachePrunePercentage": Number(0, 1, (int, float)),
    "walReplayConcurrencyLimit": Number(1, 100), "tableIndexCacheMaxEntries": Number(1, 1000),
    "tableIndexCacheConcurrencyLimit": Number(1, 100),
    **each("dataFusionRuntimeEventInterval dataFusionRuntimeGlobalQueueInterval", Number(1, 128)),
    **each("dataFusionRuntimeDisableLifoSlot dataFusionUseCachedParquetLoader disableParquetMemCache walReplayFailOnError", FLAG),
    **each("forceSnapshotMemThreshold execMemPoolBytes parquetMemCacheSize", SHARE),
    **each("dataFusionRuntimeThreadKeepAlive preemptiveCacheAge parquetMemCachePruneInterval parquetMemCacheQueryPathDuration "
           "lastCacheEvictionInterval distinctCacheEvictionInterval gen1Duration gen1LookbackDuration retentionCheckInterval "
           "deleteGracePeriod hardDeleteDefaultDuration", DURATION)}
V3_ENTERPRISE = {
    "ingestQueryInstances": Number(1, 4), "queryOnlyInstances": Number(0, 10), "compactionRowLimit": Number(1, 10**8),
    "compactionMaxNumFilesPerPlan": Number(1, 10000), "compactionMultipliers": Text(7, 16, r"\d+,\d+,\d+,\d+"),
    "walBufferSize": Number(1, 1 << 30), "snapshotSize": SHARE,
    **each("dedicatedCompactor lastValueCacheDisableFromHistory distinctValueCacheDisableFromHistory upgradePachaTree", FLAG),
    **each("compactionGen2Duration compactionCleanupWait compactionCheckInterval replicationInterval catalogSyncInterval "
           "snapshotDuration", DURATION)}
PARAMETERS = Record(union=True, InfluxDBv2=V2, InfluxDBv3Core=Record(**V3_BOTH), InfluxDBv3Enterprise=Record(**V3_BOTH, **V3_ENTERPRISE))

# --- what each operation is asked -------------------------------------------------------------------------------------------------

PLACE = {"vpcSubnetIds": SUBNETS, "vpcSecurityGroupIds": SECURITY_GROUPS, "publiclyAccessible": FLAG, "networkType": NETWORK,
         "kmsKeyId": KMS_KEY, "tags": TAGS}
RUNNING = {"logDeliveryConfiguration": LOGS, "maintenanceSchedule": MAINTENANCE, "dbBackupConfigurations": BACKUPS, "port": PORT}
SIZE = {"dbInstanceType": CLASS, "dbStorageType": STORAGE_TYPE, "allocatedStorage": STORAGE}
FIRST_USER = {"username": USERNAME, "password": PASSWORD, "organization": ORGANIZATION, "bucket": BUCKET}
INPUTS = {
    "CreateDbBackup": Record("name dbResourceId", name=NAME, dbResourceId=ID, retentionDays=Number(1, 3650), tags=TAGS),
    "CreateDbCluster": Record("name vpcSubnetIds vpcSecurityGroupIds", name=CLUSTER_NAME, dbParameterGroupIdentifier=ID,
                              failoverMode=FAILOVER, deploymentType=CLUSTER_DEPLOYMENT, deploymentConfiguration=TOPOLOGY,
                              **PLACE, **RUNNING, **SIZE, **FIRST_USER),
    "CreateDbInstance": Record("name password dbInstanceType vpcSubnetIds vpcSecurityGroupIds allocatedStorage", name=NAME,
                               dbParameterGroupIdentifier=ID, deploymentType=DEPLOYMENT, **PLACE, **RUNNING, **SIZE, **FIRST_USER),
    "CreateDbParameterGroup": Record("name", name=GROUP_NAME, description=Text(0, 500), parameters=PARAMETERS, tags=TAGS),
    "DeleteDbBackup": Record("identifier", identifier=ID),
    "DeleteDbCluster": Record("dbClusterId", dbClusterId=ID, retainAutomatedBackups=FLAG),
    "DeleteDbInstance": Record("identifier", identifier=ID, retainAutomatedBackups=FLAG),
    "GetDbBackup": Record("identifier", identifier=ID),
    "GetDbCluster": Record("dbClusterId", dbClusterId=ID),
    "GetDbInstance": Record("identifier", identifier=ID),
    "GetDbParameterGroup": Record("identifier", identifier=ID),
    "ListDbBackups": Record(dbResourceId=ID, **PAGE),
    "ListDbClusters": Record(**PAGE),
    "ListDbInstances": Record(**PAGE),
    "ListDbInstancesForCluster": Record("dbClusterId", dbClusterId=ID, **PAGE),
    "ListDbParameterGroups": Record(**PAGE),
    "ListTagsForResource": Record("resourceArn", resourceArn=ARN),
    "RebootDbCluster": Record("dbClusterId", dbClusterId=ID, instanceIds=Items(ID, 0, 3)),
    "RebootDbInstance": Record("identifier", identifier=ID),
    "RestoreFromDbBackup": Record("name dbBackupId", name=NAME, dbBackupId=ID, restoreToTime=Moment(),
                                  restoreMode=OneOf("NEW_RESOURCE REPLACE_EXISTING"), deploymentType=ANY_DEPLOYMENT, **PLACE, **RUNNING),
    "TagResource": Record("resourceArn tags", resourceArn=ARN, tags=TAGS),
    "UntagResource": Record("resourceArn tagKeys", resourceArn=ARN, tagKeys=Items(TAG_KEY, 1, 200)),
    "UpdateDbCluster": Record("dbClusterId", dbClusterId=ID, dbParameterGroupIdentifier=ID, dbInstanceType=CLASS, failoverMode=FAILOVER,
                              deploymentConfiguration=TOPOLOGY, **RUNNING),
    "UpdateDbInstance": Record("identifier", identifier=ID, dbParameterGroupIdentifier=ID, deploymentType=DEPLOYMENT, **RUNNING, **SIZE),
}
