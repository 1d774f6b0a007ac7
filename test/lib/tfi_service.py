"""Timestream for InfluxDB as a program: its things, their states, the rules of its 24 operations. No network; tfi_plane.py serves it.

A thing is an instance, a cluster, a parameter group or a backup; all are kept in one dictionary that is plain JSON, so that it can live
in a file. What takes time is a move: a thing shows the move's status until the clock says that it is over, then the next.

    (made) --create--> AVAILABLE --update, reboot, maintain--> AVAILABLE --delete--> DELETING --farewell--> DELETED --> (gone)
       \\ restore --^       \\ a move may be told to end badly: FAILED, RESTORE_FAILED, REBOOT_FAILED; only delete leads out of those

Where a rule comes from is said beside it:
    [api]  the API reference (API 2023-01-27)          [guide: page]  the developer guide
    [tf]   the Terraform provider's page or source     [ours]         not published: what seemed likeliest, see docs/infra/control-plane.md
"""
import base64
import datetime
import hashlib
import re

import tfi_shapes as shapes

HOUR, DAY = 3600, 86400
STATUS_CODES = {"InternalServerException": 500, "MissingAuthenticationTokenException": 403, "InvalidSignatureException": 403,
                "AccessDeniedException": 400, "ServiceUnavailableException": 503}  # all others: 400 [api]
KINDS = {"db-instance": "DB instance", "db-cluster": "DB cluster", "db-parameter-group": "DB parameter group", "db-backup": "DB backup"}
BUILT_IN_GROUPS = {"InfluxDBV3Core": "INFLUXDB_V3_CORE", "InfluxDBV3Enterprise": "INFLUXDB_V3_ENTERPRISE"}  # [guide: InfluxDB 3 clusters]
ENGINES = {"InfluxDBv2": "INFLUXDB_V2", "InfluxDBv3Core": "INFLUXDB_V3_CORE", "InfluxDBv3Enterprise": "INFLUXDB_V3_ENTERPRISE"}
RESERVED_PORTS = {2375, 2376, *range(7788, 7800), 8090, *range(51678, 51681)}  # [api: port]

# What a move shows, which delay it takes, and what follows: a status that stays, another move, or nothing: the thing is gone. Which of
# the UPDATING statuses a change shows is [ours]; the provider waits through all of them [tf].
MOVES = {
    "create": ("CREATING", "create", "AVAILABLE"),
    "restore": ("RESTORING", "restore", "AVAILABLE"),
    "class": ("UPDATING_INSTANCE_TYPE", "update", "AVAILABLE"),
    "deployment": ("UPDATING_DEPLOYMENT_TYPE", "update", "AVAILABLE"),
    "storage": ("MODIFYING", "update", "AVAILABLE"),
    "settings": ("UPDATING", "update", "AVAILABLE"),
    "reboot": ("REBOOTING", "reboot", "AVAILABLE"),
    "maintain": ("MAINTENANCE", "maintain", "AVAILABLE"),
    "degrade": ("PARTIALLY_AVAILABLE", "maintain", "AVAILABLE"),
    "copy": ("IN_PROGRESS", "backup", "COMPLETED"),
    "delete": ("DELETING", "delete", "farewell"),
    "farewell": ("DELETED", "gone", None),  # an instance is seen as DELETED before it is found no more [tf: #40661]
}
DELAYS = {"create": 2, "restore": 2, "update": 2, "reboot": 1, "maintain": 2, "backup": 1, "delete": 1, "gone": 0}
QUOTAS = {"db-instance": 40}  # [guide: Quotas]; those of other kinds are not published: none
STORAGE_REST_HOURS = 6        # after a change of dbStorageType the next one must wait [tf]; also for sizes, to be strict [ours]
FIRST_MOVE = (("dbInstanceType", "class"), ("deploymentConfiguration", "class"), ("deploymentType", "deployment"),
              ("dbStorageType", "storage"), ("allocatedStorage", "storage"))
PERIODS = {"HOURLY": HOUR, "DAILY": DAY, "WEEKLY": 7 * DAY, "MONTHLY": 30 * DAY, "CUSTOM_SCHEDULE": DAY, "CONTINUOUS": None}
CATCH_UP_MAX = 100  # automated backups that one leap of the clock makes

SUMMARIES = {  # members of a list's items [api]
    "db-instance": "id name arn status endpoint port networkType dbInstanceType dbStorageType allocatedStorage deploymentType",
    "node": "id name arn status endpoint port networkType dbInstanceType dbStorageType allocatedStorage deploymentType instanceMode "
            "instanceModes",
    "db-cluster": "id name arn status endpoint readerEndpoint port deploymentType dbInstanceType networkType dbStorageType "
                  "allocatedStorage engineType",
    "db-parameter-group": "id name arn description",
    "db-backup": "id name arn status createdAt expiresAfter dbResourceId type engineType deploymentType kmsKeyId",
}
# What a backup remembers of its resource [api: GetDbBackup].
REMEMBERED = ("deploymentConfiguration clusterConfiguration dbInstanceType logDeliveryConfiguration failoverMode dbStorageType "
              "allocatedStorage vpcSubnetIds vpcSecurityGroupIds publiclyAccessible port networkType influxAuthParametersSecretArn "
              "maintenanceSchedule kmsKeyId deploymentType").split()


class Refusal(Exception):
    """An error as the service answers it."""

    def __init__(self, name, message, **members):
        super().__init__(message)
        self.name, self.message, self.members = name, message, members
        self.status = STATUS_CODES.get(name, 400)


def invalid(message, reason="OTHER"):
    return Refusal("ValidationException", message, reason=reason)


def conflict(thing, message):
    return Refusal("ConflictException", message, resourceId=thing["id"], resourceType=thing["kind"])


def missing(kind, identifier):
    return Refusal("ResourceNotFoundException", f"{KINDS[kind]} {identifier} was not found.", resourceId=identifier, resourceType=kind)


def stamp(seconds):
    return datetime.datetime.fromtimestamp(int(seconds), datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def seconds_of(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def fresh(seed="", **settings):
    """The state of a region where nothing was made yet."""
    return {"seed": seed, "serial": 0, "things": {}, "zones": {},
            "settings": {"delays": {**DELAYS, **settings.get("delays", {})}, "quotas": {**QUOTAS, **settings.get("quotas", {})}}}


# --- rules of requests that join members ----------------------------------------------------------------------------------------------

def check_port(port):
    if port in RESERVED_PORTS:
        raise invalid(f"Port {port} is reserved: the value can't be 2375-2376, 7788-7799, 8090, or 51678-51680.", "FIELD_VALIDATION_FAILED")


def check_username(name):  # [api: username] must start with a letter, can't end with a hyphen or contain two consecutive hyphens
    if name is not None and not re.fullmatch(r"[a-zA-Z]([a-zA-Z0-9]*(-[a-zA-Z0-9]+)*)?", name):
        raise invalid("The username must start with a letter and can't end with a hyphen or contain two consecutive hyphens.",
                      "FIELD_VALIDATION_FAILED")


def check_storage(kind, size):  # [tf: allocated_storage; guide: DB instance storage] 20 GiB for T1, 400 GiB for T2 and T3
    if kind in ("InfluxIOIncludedT2", "InfluxIOIncludedT3") and size is not None and size < 400:
        raise invalid(f"The storage type {kind} needs an allocated storage of at least 400 GiB; {size} were given.")


def check_window(schedule):  # [guide: Maintenance windows] at least 2 hours, no more than 24, may cross midnight
    window = (schedule or {}).get("preferredMaintenanceWindow")
    if not window:
        return
    days = "Mon Tue Wed Thu Fri Sat Sun".split()
    start, end = (days.index(t[:3]) * 1440 + int(t[4:6]) * 60 + int(t[7:9]) for t in (window[:9], window[10:]))
    if not 120 <= (end - start) % (7 * 1440) <= 1440:
        raise invalid(f"The maintenance window {window} must be at least 2 hours and no more than 24 hours long.")


def check_backups(configurations, engine):
    kinds = [c["type"] for c in configurations or []]
    if len(set(kinds)) != len(kinds):  # [tf: db_backup_configuration] at most one of a type
        raise invalid("Only one backup configuration of each type is allowed.")
    for c in configurations or []:
        if (c["type"] == "CUSTOM_SCHEDULE") != ("customSchedule" in c):  # [api] required with, and only with, CUSTOM_SCHEDULE
            raise invalid("customSchedule must be set when, and only when, the type is CUSTOM_SCHEDULE.")
        if c["type"] == "CONTINUOUS" and engine == "INFLUXDB_V2":  # [guide: Customer-managed backup and restore, InfluxDB 3]
            raise invalid("Continuous backups are for InfluxDB 3 clusters only.")


def check_parameters(parameters):
    v2 = (parameters or {}).get("InfluxDBv2", {})
    less = ((("queryInitialMemoryBytes", 0), ("queryMemoryBytes", 0)),  # [api] must be greater or equal to queryInitialMemoryBytes
            (("storageCacheSnapshotMemorySize", 26214400), ("storageCacheMaxMemorySize", 1 << 30)))  # [api] must not be greater
    for (low, low_default), (high, high_default) in less:
        if (low in v2 or high in v2) and v2.get(low, low_default) > v2.get(high, high_default) and high in v2:
            raise invalid(f"{high} must be greater than or equal to {low}.")
    if v2.get("storageRetentionCheckInterval", {"value": 1})["value"] == 0:  # [api] must be greater than 0
        raise invalid("storageRetentionCheckInterval must be greater than 0.")


def check_topology(configuration):
    """[api: NodeGroup] numbers of nodes by mode."""
    groups = configuration["InfluxDBv3Enterprise"]["nodeGroups"]
    total = {mode: sum(g["count"] for g in groups if mode in g["instanceModes"]) for mode in ("INGEST", "QUERY", "COMPACT")}
    if any(len(set(g["instanceModes"])) != len(g["instanceModes"]) for g in groups):
        raise invalid("The modes of a node group must be unique.")
    if not 1 <= total["INGEST"] <= 4 or total["QUERY"] > 14 or total["COMPACT"] != 1:
        raise invalid("A cluster must include 1 to 4 INGEST nodes, 0 to 14 QUERY nodes and exactly one COMPACT node.")
    others = sum(g["count"] for g in groups if "COMPACT" not in g["instanceModes"])
    if others > 3 and any("COMPACT" in g["instanceModes"] and len(g["instanceModes"]) > 1 for g in groups):
        raise invalid("With more than three other nodes the COMPACT node must have a node group of its own.")


class Service:
    """One request's view of the state. `world` knows what is outside: zones of subnets, security groups, Secrets Manager."""

    def __init__(self, state, now, world, region="us-east-1", account="123456789012"):
        self.state, self.now, self.world, self.region, self.account = state, now, world, region, account
        self.things, self.settings = state["things"], state["settings"]
        self.ends = None  # how moves that this request starts end, when not well

    def call(self, operation, request, ends=None):
        """The answer to a request, as a dictionary. Raises Refusal; a request that is refused has changed nothing."""
        request = {k: v for k, v in request.items() if v is not None} if isinstance(request, dict) else request
        try:
            wrong = shapes.complaints(shapes.INPUTS[operation], request)
        except shapes.Malformed as e:
            raise Refusal("SerializationException", str(e)) from None
        if wrong:
            many = f"{len(wrong)} validation error{'s' if len(wrong) > 1 else ''} detected: "
            raise invalid(many + "; ".join(wrong), "FIELD_VALIDATION_FAILED")
        self.ends = ends
        return OPERATIONS[operation](self, request)

    # --- things -----------------------------------------------------------------------------------------------------------------

    def find(self, kind, identifier):
        thing = self.things.get(identifier)
        if thing is None or thing["kind"] != kind:
            raise missing(kind, identifier)
        return thing

    def arn(self, kind, identifier):
        return f"arn:aws:timestream-influxdb:{self.region}:{self.account}:{kind}/{identifier}"

    def of_kind(self, kind):
        return sorted((t for t in self.things.values() if t["kind"] == kind), key=lambda t: t["serial"])

    def check_room(self, kind, name):
        """Names are unique in an account and region [api], quotas are an account's [guide: Quotas]. Nodes count for neither [ours]."""
        others = [t for t in self.of_kind(kind) if "dbClusterId" not in t["facts"]]
        for other in others:
            if other["facts"].get("name") == name:
                raise conflict(other, f"A {KINDS[kind]} with the name {name} already exists.")
        quota = self.settings["quotas"].get(kind)
        if quota is not None and len(others) >= quota:
            raise Refusal("ServiceQuotaExceededException", f"The limit of {quota} {KINDS[kind]}s in this account and region is reached.")

    def make(self, kind, name, facts, tags=None):
        """A thing without a status; whether there is room for it was asked before."""
        self.state["serial"] += 1
        digest = hashlib.sha256(f"{self.state['seed']}/{self.state['serial']}".encode()).digest()
        identifier = base64.b32encode(digest).decode().lower()[:10]
        facts = {"id": identifier, "name": name, "arn": self.arn(kind, identifier), **facts}
        thing = {"id": identifier, "kind": kind, "serial": self.state["serial"], "status": None, "move": None, "tags": dict(tags or {}),
                 "facts": {k: v for k, v in facts.items() if v is not None}, "hidden": {}}
        self.things[identifier] = thing
        return thing

    def show(self, thing, only=None):
        status = self.status_of(thing)
        out = {**thing["facts"], **({"status": status} if status else {})}
        return {k: out[k] for k in only.split() if k in out} if only else out

    def status_of(self, thing):
        """A cluster's node shows what its cluster does, unless it has a move of its own."""
        parent = self.things.get(thing["facts"].get("dbClusterId", ""))
        if parent is None or thing["move"]:
            return thing["status"]
        return "AVAILABLE" if parent["status"] == "PARTIALLY_AVAILABLE" else parent["status"]

    # --- the state machine --------------------------------------------------------------------------------------------------------

    def begin(self, thing, move, at=None, **changes):
        status, delay, _ = MOVES[move]
        until = (self.now if at is None else at) + self.settings["delays"][delay]
        thing["status"] = status
        thing["move"] = {"what": move, "until": until, "ends": self.ends, "changes": changes}

    def settle(self):
        """What happened since the last look: moves that are over, in the order in which they were; backups made and run out."""
        while due := [t for t in self.things.values() if t["move"] and t["move"]["until"] <= self.now]:
            self.finish(min(due, key=lambda t: (t["move"]["until"], t["serial"])))
        for thing in list(self.things.values()):
            if thing["kind"] in ("db-instance", "db-cluster") and thing["status"] == "AVAILABLE":
                self.automate(thing)
        today = stamp(self.now)[:10]
        for backup in self.of_kind("db-backup"):  # [api: expiresAfter] deleted automatically after that date
            if backup["facts"].get("expiresAfter", today) < today:
                self.things.pop(backup["id"], None)

    def finish(self, thing):
        move, thing["move"] = thing["move"], None
        if move["ends"]:
            thing["status"] = move["ends"]
            return
        after = MOVES[move["what"]][2]
        thing["facts"].update(move["changes"])
        thing["facts"] = {k: v for k, v in thing["facts"].items() if v is not None}
        if after is None:
            self.forget(thing)
        elif after in MOVES:
            self.ends = None
            self.begin(thing, after, at=move["until"])
        else:
            thing["status"] = after
            if thing["kind"] != "db-backup" and "dbClusterId" not in thing["facts"]:
                self.arrive(thing, move["until"])

    def arrive(self, thing, at):
        """What an instance or cluster has only once it is there."""
        facts = thing["facts"]
        facts.setdefault("endpoint", self.endpoint(thing))
        if facts.get("engineType") == "INFLUXDB_V2" and thing["kind"] == "db-cluster":
            facts.setdefault("readerEndpoint", facts["endpoint"].replace(".timestream", "-ro.timestream", 1))
        if thing["kind"] == "db-instance":
            facts["availabilityZone"] = thing["hidden"]["zones"][0]
            facts.pop("secondaryAvailabilityZone", None)
            if facts["deploymentType"] == "WITH_MULTIAZ_STANDBY":
                facts["secondaryAvailabilityZone"] = thing["hidden"]["zones"][1]
        else:
            self.place_nodes(thing)
        if "influxAuthParametersSecretArn" not in facts:  # [guide: Secrets] a copy of the first values, under this name
            name = f"READONLY-InfluxDB-auth-parameters-{thing['id']}"
            facts["influxAuthParametersSecretArn"] = self.world.put_secret(self, name, thing["hidden"].pop("secret", {}))
        for configuration in facts.get("dbBackupConfigurations", []):
            if "nextAutomatedBackupTime" not in configuration:
                self.plan_backup(configuration, at)

    def endpoint(self, thing):  # [guide: Connecting] host only, without scheme and port
        service = "timestream-influxdb" + ("" if thing["facts"].get("engineType", "INFLUXDB_V2") == "INFLUXDB_V2" else "3")
        token = hashlib.sha256(self.account.encode()).hexdigest()[:13]
        return f"{thing['id']}-{token}.{service}.{self.region}.on.aws"

    def forget(self, thing):
        """Nodes and the secret go with their resource. So do automated backups unless they are retained [api]; those on demand stay."""
        self.things.pop(thing["id"])
        for other in list(self.things.values()):
            is_backup = other["kind"] == "db-backup" and other["facts"]["dbResourceId"] == thing["id"]
            if other["facts"].get("dbClusterId") == thing["id"] or (
                    is_backup and other["facts"]["type"] != "ON_DEMAND" and not thing["hidden"].get("retain")):
                self.things.pop(other["id"], None)
        if "influxAuthParametersSecretArn" in thing["facts"] and thing["kind"] != "db-backup":
            self.world.drop_secret(self, thing["facts"]["influxAuthParametersSecretArn"])

    def need_idle(self, thing, doing):
        """[api] ConflictException is what these operations declare; that it is the answer while another change runs is [ours]."""
        if thing["status"] != "AVAILABLE":
            raise conflict(thing, f"{KINDS[thing['kind']]} {thing['id']} is {thing['status']}; it must be AVAILABLE for {doing}.")

    # --- rules of resources -----------------------------------------------------------------------------------------------------------

    def engine_of(self, identifier):
        if identifier is None:
            return "INFLUXDB_V2"
        if identifier in BUILT_IN_GROUPS:
            return BUILT_IN_GROUPS[identifier]
        group = self.find("db-parameter-group", identifier)
        return ENGINES[next(iter(group["facts"].get("parameters") or {"InfluxDBv2": {}}))]

    def check_place(self, request):
        """The zones, in order. [api: vpcSubnetIds] at least two subnets in different Availability Zones for a Multi-AZ standby."""
        zones = sorted(set(self.world.zones(self, request["vpcSubnetIds"]).values()))
        self.world.check_groups(self, request["vpcSecurityGroupIds"], request["vpcSubnetIds"])
        if request.get("deploymentType") == "WITH_MULTIAZ_STANDBY" and len(zones) < 2:
            raise invalid("A Multi-AZ deployment needs at least two subnets in different Availability Zones; all of these are in "
                          f"{zones[0]}.")
        return zones

    def check_common(self, request, engine):
        check_port(request.get("port"))
        check_username(request.get("username"))
        check_window(request.get("maintenanceSchedule"))
        check_backups(request.get("dbBackupConfigurations"), engine)
        check_storage(request.get("dbStorageType"), request.get("allocatedStorage"))

    def key_arn(self, key):
        if key is None or key.startswith("arn:"):
            return key
        if key.startswith("alias/"):  # shown as the key behind it
            key = hashlib.md5(key.encode()).hexdigest()
            key = "-".join((key[:8], key[8:12], key[12:16], key[16:20], key[20:]))
        return f"arn:aws:kms:{self.region}:{self.account}:key/{key}"

    def facts_of(self, request, port):
        """A request's members as the service shows them, with its defaults [api]; the first user's only go into the secret."""
        private = ("name", "tags", *shapes.FIRST_USER)
        return {"networkType": "IPV4", "publiclyAccessible": False, "port": port,
                **{k: v for k, v in request.items() if k not in private}, "kmsKeyId": self.key_arn(request.get("kmsKeyId"))}

    @staticmethod
    def secret_of(request):
        return {k: request[k] for k in shapes.FIRST_USER if k in request}

    # --- instances ----------------------------------------------------------------------------------------------------------------------

    def create_instance(self, request):
        engine = self.engine_of(request.get("dbParameterGroupIdentifier"))
        if engine != "INFLUXDB_V2":  # [guide: InfluxDB 3] clusters only
            raise invalid("DB instances run InfluxDB 2; a parameter group of InfluxDB 3 is for DB clusters.")
        self.check_common(request, engine)
        zones = self.check_place(request)
        facts = {"dbStorageType": "InfluxIOIncludedT1", "deploymentType": "SINGLE_AZ", **self.facts_of(request, 8086)}
        self.check_room("db-instance", request["name"])
        thing = self.make("db-instance", request["name"], facts, request.get("tags"))
        thing["hidden"].update(secret=self.secret_of(request), zones=zones)
        self.begin(thing, "create")
        return self.show(thing)

    def get_instance(self, request):
        return self.show(self.find("db-instance", request["identifier"]))

    def own_instance(self, identifier):
        thing = self.find("db-instance", identifier)
        if "dbClusterId" in thing["facts"]:  # [ours]
            raise invalid(f"DB instance {identifier} is a node of DB cluster {thing['facts']['dbClusterId']}: use the cluster's own.")
        return thing

    def update_instance(self, request):
        thing = self.own_instance(request["identifier"])
        changes = self.changes_of(thing, request, "identifier")
        facts = {**thing["facts"], **changes}
        if self.engine_of(facts.get("dbParameterGroupIdentifier")) != "INFLUXDB_V2":
            raise invalid("DB instances run InfluxDB 2; a parameter group of InfluxDB 3 is for DB clusters.")
        self.check_common({**changes, **{k: facts[k] for k in ("dbStorageType", "allocatedStorage")}}, "INFLUXDB_V2")
        zones = self.check_place(facts) if "deploymentType" in changes else thing["hidden"]["zones"]
        self.check_storage_change(thing, changes)
        thing["hidden"]["zones"] = zones
        self.begin(thing, next((move for name, move in FIRST_MOVE if name in changes), "settings"), **changes)
        return self.show(thing)

    def changes_of(self, thing, request, identifier):
        """[tf: #40661] a value that a resource already has is a ValidationException, whatever else is changed with it."""
        changes = {k: v for k, v in request.items() if k != identifier}
        self.need_idle(thing, "an update")
        if not changes:
            raise invalid("No changes were given.")
        for name, value in changes.items():
            if value == self.as_asked(name, thing["facts"].get(name)):
                raise invalid(f"The value of {name} is what {KINDS[thing['kind']]} {thing['id']} already has.")
        return changes

    @staticmethod
    def as_asked(name, value):
        if name == "dbBackupConfigurations" and value:
            return [{k: v for k, v in c.items() if k != "nextAutomatedBackupTime"} for c in value]
        return value

    def check_storage_change(self, thing, changes):
        facts, hidden = thing["facts"], thing["hidden"]
        if "allocatedStorage" in changes and changes["allocatedStorage"] < facts["allocatedStorage"]:  # [guide: Updating DB instances]
            raise invalid(f"Allocated storage can only be increased: it is {facts['allocatedStorage']} GiB.")
        if "allocatedStorage" not in changes and "dbStorageType" not in changes:
            return
        rest = hidden.get("storageChanged", -10**12) + STORAGE_REST_HOURS * HOUR - self.now
        if rest > 0:
            raise invalid(f"The storage was changed less than {STORAGE_REST_HOURS} hours ago; the next change can be made at "
                          f"{stamp(self.now + rest)}.")
        hidden["storageChanged"] = self.now

    def reboot_instance(self, request):
        thing = self.find("db-instance", request["identifier"])
        if self.status_of(thing) not in ("AVAILABLE", "REBOOT_FAILED"):
            raise conflict(thing, f"DB instance {thing['id']} is {self.status_of(thing)}; it must be AVAILABLE for a reboot.")
        self.begin(thing, "reboot")
        return self.show(thing)

    def delete_instance(self, request):
        return self.show(self.delete(self.own_instance(request["identifier"]), request))

    def delete(self, thing, request):
        """[tf] a deletion while something else runs is a ValidationException that says "in progress"; when deleted twice [ours]."""
        if thing["status"] in ("DELETING", "DELETED"):
            raise conflict(thing, f"{KINDS[thing['kind']]} {thing['id']} is being deleted already.")
        if thing["move"]:
            raise invalid(f"{KINDS[thing['kind']]} {thing['id']} can't be deleted: an operation is in progress ({thing['status']}).")
        thing["hidden"]["retain"] = request.get("retainAutomatedBackups", False)
        self.begin(thing, "delete")
        return thing

    # --- clusters -----------------------------------------------------------------------------------------------------------------------

    def create_cluster(self, request):
        engine = self.cluster_engine(request)
        self.check_common(request, engine)
        zones = self.check_place(request)
        version = {"port": 8086, "deploymentType": "MULTI_NODE_READ_REPLICAS", "dbStorageType": "InfluxIOIncludedT1"}
        if engine != "INFLUXDB_V2":
            version = {"port": 8181}
        group = request.get("dbParameterGroupIdentifier")
        facts = {"failoverMode": "AUTOMATIC", "engineType": engine, "effectiveDbParameterGroupIdentifier": group, **version,
                 **self.facts_of(request, version["port"])}
        self.check_room("db-cluster", request["name"])
        thing = self.make("db-cluster", request["name"], facts, request.get("tags"))
        thing["hidden"].update(secret=self.secret_of(request), zones=zones)
        self.lay_out(thing["facts"])
        self.place_nodes(thing)
        self.begin(thing, "create")
        return {"dbClusterId": thing["id"], "dbClusterStatus": thing["status"]}

    def cluster_engine(self, request):
        """The engine, and the members that it must have and must not have [tf: db_cluster; guide: InfluxDB 3 clusters]."""
        engine = self.engine_of(request.get("dbParameterGroupIdentifier"))
        if "deploymentConfiguration" in request:
            if engine != "INFLUXDB_V3_ENTERPRISE":
                raise invalid("deploymentConfiguration is for InfluxDB 3 Enterprise: its parameter group must be given.")
            check_topology(request["deploymentConfiguration"])
        if ("deploymentConfiguration" in request) == ("dbInstanceType" in request):  # [api: dbInstanceType]
            raise invalid("Exactly one of dbInstanceType and deploymentConfiguration must be given.")
        v2_only = ("allocatedStorage", "username", "password", "organization", "bucket")
        if engine == "INFLUXDB_V2" and (absent := [name for name in v2_only if name not in request]):
            raise invalid(f"A cluster of InfluxDB 2 needs {', '.join(absent)}.")
        if engine != "INFLUXDB_V2" and (present := [name for name in (*v2_only, "deploymentType") if name in request]):
            raise invalid(f"A cluster of InfluxDB 3 must not be given {', '.join(present)}.")
        return engine

    def lay_out(self, facts):
        """clusterConfiguration and, for Enterprise, deploymentConfiguration: from the topology, the group's parameters or defaults."""
        if facts["engineType"] != "INFLUXDB_V3_ENTERPRISE":
            return
        if "deploymentConfiguration" not in facts:
            group = self.things.get(facts["dbParameterGroupIdentifier"], {"facts": {}})["facts"].get("parameters", {})
            given = group.get("InfluxDBv3Enterprise", {})
            ingest, query = given.get("ingestQueryInstances", 2), given.get("queryOnlyInstances", 0)  # defaults [ours]
            size = facts["dbInstanceType"]
            groups = [{"instanceModes": ["INGEST", "QUERY"], "instanceType": size, "count": ingest},
                      {"instanceModes": ["COMPACT"], "instanceType": size, "count": 1}]
            groups += [{"instanceModes": ["QUERY"], "instanceType": size, "count": query}] if query else []
            facts["deploymentConfiguration"] = {"InfluxDBv3Enterprise": {"nodeGroups": groups}}
        groups = facts["deploymentConfiguration"]["InfluxDBv3Enterprise"]["nodeGroups"]
        facts["clusterConfiguration"] = {
            "ingestQueryInstances": sum(g["count"] for g in groups if "INGEST" in g["instanceModes"]),
            "queryOnlyInstances": sum(g["count"] for g in groups if g["instanceModes"] == ["QUERY"]),
            "dedicatedCompactor": any(g["instanceModes"] == ["COMPACT"] for g in groups)}

    def nodes_of(self, cluster):
        return [t for t in self.of_kind("db-instance") if t["facts"].get("dbClusterId") == cluster["id"]]

    def wanted_nodes(self, facts):
        """(modes, class) of each node [api: InstanceMode]."""
        if facts["engineType"] == "INFLUXDB_V2":
            return [(["PRIMARY"], facts["dbInstanceType"]), (["REPLICA"], facts["dbInstanceType"])]
        if facts["engineType"] == "INFLUXDB_V3_CORE":
            return [(["INGEST", "QUERY", "COMPACT", "PROCESS"], facts["dbInstanceType"])]
        groups = facts["deploymentConfiguration"]["InfluxDBv3Enterprise"]["nodeGroups"]
        return [(g["instanceModes"], g["instanceType"]) for g in groups for _ in range(g["count"])]

    def place_nodes(self, cluster):
        """The nodes that the cluster should have: those at hand are reused, others made or dropped."""
        facts, nodes, wanted = cluster["facts"], self.nodes_of(cluster), self.wanted_nodes(cluster["facts"])
        zones = cluster["hidden"]["zones"]
        for node in nodes[len(wanted):]:
            self.things.pop(node["id"])
        shared = {k: facts[k] for k in ("port", "networkType", "dbStorageType", "allocatedStorage", "publiclyAccessible", "vpcSubnetIds",
                                        "vpcSecurityGroupIds", "dbParameterGroupIdentifier", "kmsKeyId") if k in facts}
        for i, (modes, size) in enumerate(wanted):
            name = f"{facts['name'][:37]}-{i + 1}"
            node = nodes[i] if i < len(nodes) else self.make("db-instance", name, {"dbClusterId": cluster["id"]})
            node["facts"].update(shared, dbInstanceType=size, instanceModes=modes, instanceMode=modes[0])
            node["status"] = node["status"] or "AVAILABLE"  # while it has no move it shows the cluster's
            if "endpoint" in facts:
                node["facts"].update(endpoint=self.endpoint({"id": node["id"], "facts": facts}), availabilityZone=zones[i % len(zones)])

    def get_cluster(self, request):
        return self.show(self.find("db-cluster", request["dbClusterId"]))

    def update_cluster(self, request):
        thing = self.find("db-cluster", request["dbClusterId"])
        changes = self.changes_of(thing, request, "dbClusterId")
        if "deploymentConfiguration" in changes and "dbInstanceType" in changes:  # [api]
            raise invalid("dbInstanceType and deploymentConfiguration can't both be given.")
        facts = {**thing["facts"], **changes}
        if self.engine_of(facts.get("dbParameterGroupIdentifier")) != facts["engineType"]:
            raise invalid("The parameter group is for another engine.")
        self.check_common(changes, facts["engineType"])
        if "deploymentConfiguration" in changes:
            if facts["engineType"] != "INFLUXDB_V3_ENTERPRISE":
                raise invalid("deploymentConfiguration is for InfluxDB 3 Enterprise.")
            check_topology(changes["deploymentConfiguration"])
        elif "dbInstanceType" in changes or "dbParameterGroupIdentifier" in changes:
            facts.pop("deploymentConfiguration", None)
        if "dbParameterGroupIdentifier" in changes:
            facts["effectiveDbParameterGroupIdentifier"] = changes["dbParameterGroupIdentifier"]
        self.lay_out(facts)
        new = {k: v for k, v in facts.items() if thing["facts"].get(k) != v}
        self.begin(thing, next((move for name, move in FIRST_MOVE if name in changes), "settings"), **new)
        return {"dbClusterStatus": thing["status"]}

    def reboot_cluster(self, request):
        thing = self.find("db-cluster", request["dbClusterId"])
        nodes = {n["id"]: n for n in self.nodes_of(thing)}
        for identifier in request.get("instanceIds", []):
            if identifier not in nodes:
                raise invalid(f"DB instance {identifier} is no node of DB cluster {thing['id']}.")
        if thing["status"] != "REBOOT_FAILED":
            self.need_idle(thing, "a reboot")
        for identifier in request.get("instanceIds", []):
            self.begin(nodes[identifier], "reboot")
        self.begin(thing, "reboot")
        return {"dbClusterStatus": thing["status"]}

    def delete_cluster(self, request):
        return {"dbClusterStatus": self.delete(self.find("db-cluster", request["dbClusterId"]), request)["status"]}

    # --- parameter groups: made and read; no operation changes or deletes one [api] ----------------------------------------------------

    def create_group(self, request):
        if request["name"].startswith("dbpg-"):  # [guide: DB parameter groups]
            raise invalid("A name of a DB parameter group can't start with dbpg-.", "FIELD_VALIDATION_FAILED")
        check_parameters(request.get("parameters"))
        facts = {k: request[k] for k in ("description", "parameters") if k in request}
        self.check_room("db-parameter-group", request["name"])
        return self.show(self.make("db-parameter-group", request["name"], facts, request.get("tags")))

    def get_group(self, request):
        if request["identifier"] in BUILT_IN_GROUPS:
            name = request["identifier"]
            kind = "InfluxDBv3Core" if name == "InfluxDBV3Core" else "InfluxDBv3Enterprise"
            return {"id": name, "name": name, "arn": self.arn("db-parameter-group", name), "parameters": {kind: {}}}
        return self.show(self.find("db-parameter-group", request["identifier"]))

    # --- backups --------------------------------------------------------------------------------------------------------------------------

    def create_backup(self, request):
        source = self.resource(request["dbResourceId"])
        self.need_idle(source, "a backup")
        for other in self.of_kind("db-backup"):  # one at a time [ours]
            if other["facts"]["dbResourceId"] == source["id"] and other["status"] == "IN_PROGRESS":
                raise conflict(other, f"A backup of {source['id']} is in progress: {other['id']}.")
        self.check_room("db-backup", request["name"])
        backup = self.make_backup(source, "ON_DEMAND", request["name"], request.get("retentionDays"), self.now, request.get("tags"))
        self.begin(backup, "copy")
        return self.show(backup)

    def resource(self, identifier):
        thing = self.things.get(identifier)
        if thing is None or thing["kind"] not in ("db-instance", "db-cluster") or "dbClusterId" in thing["facts"]:
            raise missing("db-instance", identifier)
        return thing

    def make_backup(self, source, kind, name, days, at, tags=None):
        facts = {k: source["facts"][k] for k in REMEMBERED if k in source["facts"]}
        facts.update(type=kind, dbResourceId=source["id"], createdAt=stamp(at), engineType=source["facts"].get("engineType", "INFLUXDB_V2"),
                     dbParameterGroupId=source["facts"].get("dbParameterGroupIdentifier"),
                     expiresAfter=stamp(at + days * DAY)[:10] if days else None)
        backup = self.make("db-backup", name, facts, tags)
        backup["hidden"].update(source={"kind": source["kind"], "name": source["facts"]["name"]}, days=days)
        return backup

    def plan_backup(self, configuration, at):
        period = PERIODS[configuration["type"]]  # a cron expression is not evaluated: daily [ours]
        configuration.pop("nextAutomatedBackupTime", None)
        if configuration["enabled"] and period:
            configuration["nextAutomatedBackupTime"] = stamp(at + period)

    def automate(self, source):
        """Automated backups whose time has come; a continuous one is there from the start and stays."""
        for configuration in source["facts"].get("dbBackupConfigurations", []):
            kind, days = configuration["type"], configuration["retentionDays"]
            for _ in range(CATCH_UP_MAX):
                at = seconds_of(configuration.get("nextAutomatedBackupTime", "9999-01-01T00:00:00Z"))
                if at > self.now:
                    break
                self.make_backup(source, kind, None, days, at)["status"] = "COMPLETED"
                self.plan_backup(configuration, at)
            if kind == "CONTINUOUS" and configuration["enabled"] and not any(
                    b["facts"]["type"] == kind and b["facts"]["dbResourceId"] == source["id"] for b in self.of_kind("db-backup")):
                self.make_backup(source, kind, None, None, self.now)["status"] = "COMPLETED"

    def get_backup(self, request):
        return self.show(self.find("db-backup", request["identifier"]))

    def delete_backup(self, request):
        backup = self.find("db-backup", request["identifier"])
        if backup["status"] not in ("COMPLETED", "FAILED"):
            raise conflict(backup, f"DB backup {backup['id']} is {backup['status']}.")
        self.begin(backup, "delete")
        return self.show(backup)

    def restore(self, request):
        backup = self.find("db-backup", request["dbBackupId"])
        if backup["status"] != "COMPLETED":
            raise conflict(backup, f"DB backup {backup['id']} is {backup['status']}; only one that is COMPLETED can be restored.")
        if "restoreToTime" in request and backup["facts"]["type"] != "CONTINUOUS":  # [api: restoreToTime]
            raise invalid("restoreToTime is for continuous backups.")
        oldest = seconds_of(backup["facts"]["createdAt"])
        if "restoreToTime" in request and not oldest <= seconds_of(request["restoreToTime"]) <= self.now:
            raise invalid("restoreToTime is outside of the backup's retention window.")
        if request.get("restoreMode", "NEW_RESOURCE") == "REPLACE_EXISTING":
            thing = self.restore_over(backup, request)
        else:
            thing = self.restore_beside(backup, request)
        facts = {**thing["facts"], **thing["move"]["changes"]}
        return {"restoredDbResourceId": thing["id"], "restoreStatus": thing["status"], "engineType": backup["facts"]["engineType"],
                "resourceType": "DB_INSTANCE" if thing["kind"] == "db-instance" else "DB_CLUSTER",
                **({"deploymentType": facts["deploymentType"]} if "deploymentType" in facts else {})}

    def restored_facts(self, backup, request):
        kept = {k: v for k, v in backup["facts"].items() if k in REMEMBERED and k != "influxAuthParametersSecretArn"}
        kept["dbParameterGroupIdentifier"] = backup["facts"].get("dbParameterGroupId")
        settable = {*shapes.PLACE, *shapes.RUNNING, "deploymentType"} - {"tags"}
        facts = {**kept, **{k: v for k, v in request.items() if k in settable}}
        facts["kmsKeyId"] = self.key_arn(facts.get("kmsKeyId"))
        self.check_common({k: facts.get(k) for k in (*shapes.RUNNING, *shapes.SIZE)}, backup["facts"]["engineType"])
        return facts, self.check_place(facts)

    def restore_beside(self, backup, request):
        """[guide] a backup of a cluster makes no instance; one of an instance may make read replicas."""
        facts, zones = self.restored_facts(backup, request)
        kind = backup["hidden"]["source"]["kind"]
        if kind == "db-cluster" and request.get("deploymentType") in ("SINGLE_AZ", "WITH_MULTIAZ_STANDBY"):
            raise invalid("A backup of a DB cluster can't be restored to a DB instance.")
        if kind == "db-instance" and request.get("deploymentType") == "MULTI_NODE_READ_REPLICAS":
            kind = "db-cluster"
        if kind == "db-cluster":
            facts = {"failoverMode": "AUTOMATIC", **facts, "engineType": backup["facts"]["engineType"]}
        self.check_room(kind, request["name"])
        thing = self.make(kind, request["name"], facts, request.get("tags"))
        thing["hidden"]["zones"] = zones
        if kind == "db-cluster":
            self.lay_out(thing["facts"])
            self.place_nodes(thing)
        self.begin(thing, "restore")
        return thing

    def restore_over(self, backup, request):
        thing = self.resource(backup["facts"]["dbResourceId"])
        if thing["facts"]["name"] != request["name"]:  # [api: name] must match the existing resource's
            raise invalid(f"To replace {thing['id']} the name must be {thing['facts']['name']}.")
        self.need_idle(thing, "a restore")
        facts, thing["hidden"]["zones"] = self.restored_facts(backup, request)
        self.begin(thing, "restore", **{k: v for k, v in facts.items() if v is not None})
        return thing

    # --- lists and tags -------------------------------------------------------------------------------------------------------------------

    def page(self, things, request, members):
        """Things in the order of their making; a token names the last one shown, so that those made or gone meanwhile disturb nothing."""
        after = 0
        if "nextToken" in request:
            try:
                after = int(base64.b64decode(request["nextToken"], validate=True).decode())
            except ValueError:
                raise invalid("The nextToken is not one that this operation gave.") from None
        size = request.get("maxResults", 100)
        rest = [t for t in things if t["serial"] > after]
        out = {"items": [self.show(t, members) for t in rest[:size]]}
        if len(rest) > size:
            out["nextToken"] = base64.b64encode(str(rest[size - 1]["serial"]).encode()).decode()
        return out

    def list_instances(self, request):  # nodes of clusters are listed by their cluster [ours]
        return self.page([t for t in self.of_kind("db-instance") if "dbClusterId" not in t["facts"]], request, SUMMARIES["db-instance"])

    def list_nodes(self, request):
        cluster = self.find("db-cluster", request["dbClusterId"])
        return self.page(self.nodes_of(cluster), request, SUMMARIES["node"])

    def list_clusters(self, request):
        return self.page(self.of_kind("db-cluster"), request, SUMMARIES["db-cluster"])

    def list_groups(self, request):
        return self.page(self.of_kind("db-parameter-group"), request, SUMMARIES["db-parameter-group"])

    def list_backups(self, request):
        of = request.get("dbResourceId")
        backups = [b for b in self.of_kind("db-backup") if of in (None, b["facts"]["dbResourceId"])]
        return self.page(backups, request, SUMMARIES["db-backup"])

    def tagged(self, request):
        thing = next((t for t in self.things.values() if t["facts"]["arn"] == request["resourceArn"]), None)
        if thing is None:
            kind, identifier = request["resourceArn"].rsplit(":", 1)[1].split("/")
            raise missing(kind, identifier)
        return thing

    def list_tags(self, request):
        return {"tags": self.tagged(request)["tags"]}

    def tag(self, request):
        """The same tag again is no error; more than 200 are [api: ResponseTagMap]; aws: is AWS's own [AWS: tagging]."""
        thing = self.tagged(request)
        if any(key.lower().startswith("aws:") for key in request["tags"]):
            raise invalid("Tag keys that start with aws: are reserved.")
        if len({**thing["tags"], **request["tags"]}) > 200:
            raise Refusal("ServiceQuotaExceededException", f"{thing['id']} can have at most 200 tags.")
        thing["tags"].update(request["tags"])
        return {}

    def untag(self, request):
        thing = self.tagged(request)
        for key in request["tagKeys"]:
            thing["tags"].pop(key, None)
        return {}


OPERATIONS = {
    "CreateDbBackup": Service.create_backup,
    "CreateDbCluster": Service.create_cluster,
    "CreateDbInstance": Service.create_instance,
    "CreateDbParameterGroup": Service.create_group,
    "DeleteDbBackup": Service.delete_backup,
    "DeleteDbCluster": Service.delete_cluster,
    "DeleteDbInstance": Service.delete_instance,
    "GetDbBackup": Service.get_backup,
    "GetDbCluster": Service.get_cluster,
    "GetDbInstance": Service.get_instance,
    "GetDbParameterGroup": Service.get_group,
    "ListDbBackups": Service.list_backups,
    "ListDbClusters": Service.list_clusters,
    "ListDbInstances": Service.list_instances,
    "ListDbInstancesForCluster": Service.list_nodes,
    "ListDbParameterGroups": Service.list_groups,
    "ListTagsForResource": Service.list_tags,
    "RebootDbCluster": Service.reboot_cluster,
    "RebootDbInstance": Service.reboot_instance,
    "RestoreFromDbBackup": Service.restore,
    "TagResource": Service.tag,
    "UntagResource": Service.untag,
    "UpdateDbCluster": Service.update_cluster,
    "UpdateDbInstance": Service.update_instance,
}
