"""An apply or a destroy that fails half-way: what the next one does, step by step. Two tables, of which docs/infra/half-way.md tells.

    KILLS     terraform and its provider die at a request (as with a machine): before it is made, and when it was done but not heard of
    Database  what the service itself does: quota, throttling, refusals, a creation that fails

One thing at a time is made in an apply that is to be killed (-parallelism=1), so that it is known what is under way.
"""
import os
import sys
import threading
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import applied  # noqa: E402
import terraform  # noqa: E402

MAIN = """
variable "zip" { type = string }
variable "database" { default = false }
variable "class" { default = "db.influx.medium" }

module "network" {
  source              = "../../modules/network"
  name                = "half"
  availability_zones  = ["us-east-1a"]
  interface_endpoints = []
  flow_log_days       = 0
}

resource "aws_secretsmanager_secret" "token" {
  name                    = "half/token"
  recovery_window_in_days = 0
}

resource "aws_sqs_queue" "letters" {
  name = "half-letters"
}

module "function" {
  source             = "../../modules/function"
  name               = "half-loader"
  handler            = "loader"
  zip                = var.zip
  subnet_ids         = module.network.subnet_ids
  security_group_ids = [module.network.client_security_group_id]
  policy_json = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "sqs:SendMessage", Resource = aws_sqs_queue.letters.arn }]
  })
}

module "database" {
  count                   = var.database ? 1 : 0
  source                  = "../../modules/influxdb"
  name                    = "half"
  instance_class          = var.class
  storage_gib             = 20
  vpc_id                  = module.network.vpc_id
  subnet_ids              = module.network.subnet_ids
  allowed_security_groups = { functions = module.network.client_security_group_id }
}
"""
INSTANCE = "module.database[0].aws_timestreaminfluxdb_db_instance.this[0]"
# what is to be made, at which request; what the next apply says (None: it completes); what then to import as; kinds of which one stays
KILLS = [
    ("module.network.aws_vpc.this", "Action=CreateVpc&", None, None, ("ec2 Vpcs", "ec2 SecurityGroups", "ec2 RouteTables")),
    ("aws_sqs_queue.letters", "AmazonSQS.CreateQueue", None, None, ()),
    ("aws_secretsmanager_secret.token", "secretsmanager.CreateSecret", "ResourceExistsException", "secret", ()),
    ("module.function.aws_iam_role.this", "Action=CreateRole&", "EntityAlreadyExists", "half-loader-function", ()),
    # The provider would try for minutes to make the function before it says that it exists: imported at once.
    ("module.function.aws_lambda_function.this", "POST /2015-03-31/functions", None, "half-loader", ()),
]


class HalfWay(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.world = applied.World()
        self.addCleanup(self.world.close)

    def infra(self, **variables):
        infra = terraform.Infra(self.world.front.url, text=MAIN)
        self.addCleanup(infra.close)
        with open(os.path.join(infra.where(), "function.zip"), "wb") as f:
            f.write(b"PK\x05\x06" + bytes(18))
        infra.variables(zip=f.name, **variables)
        return infra

    def killed(self, infra, command, pattern, when, *args):
        """Run until the request, then not any more."""
        reached = threading.Event()

        def spy(stage, text):
            if stage == when and pattern in text and not reached.is_set():
                reached.set()
                terraform.kill(process)
                process.wait()
                if stage == "before":
                    raise ConnectionAbortedError("nobody is there to be answered")

        self.world.front.spy = spy
        process = infra.start(command, "-auto-approve", "-parallelism=1", *args)
        process.wait(timeout=120)
        self.world.front.spy = None
        self.assertTrue(reached.is_set(), f"{pattern} was never asked")

    def complete(self, infra):
        infra.run("apply", "-auto-approve")
        self.assertLessEqual(applied.drift(applied.planned(infra)), applied.FORGOTTEN)

    def identifier(self, what):
        return self.world.moto.client("secretsmanager").describe_secret(SecretId="half/token")["ARN"] if what == "secret" else what


class Killed(HalfWay):
    def test_what_was_under_way_is_unknown_to_the_next_apply(self):
        """All else was written down before: in each row one thing (and what hangs on it) is gone, and is being made again."""
        infra, stayed = self.infra(), set()
        infra.run("apply", "-auto-approve")
        for address, pattern, says, imported, stay in KILLS:
            with self.subTest(at=pattern):
                infra.run("destroy", "-auto-approve", f"-target={address}")
                self.killed(infra, "apply", pattern, "before")  # it never arrived: nobody will ever know
                self.killed(infra, "apply", pattern, "after")
                if says:
                    self.assertIn(says, " ".join(infra.run("apply", "-auto-approve", status=1).split()))
                if imported:
                    infra.run("import", address, self.identifier(imported))
                infra.run("apply", "-auto-approve")
                stayed |= set(stay)
        self.assertLessEqual(applied.drift(applied.planned(infra)), applied.FORGOTTEN)
        infra.run("destroy", "-auto-approve")
        self.assertEqual({kind: len(names) for kind, names in self.world.left().items()}, {kind: 1 for kind in stayed})

    def test_a_destroy_that_is_killed_goes_on(self):
        infra = self.infra()
        infra.run("apply", "-auto-approve")
        for pattern, when in (("DELETE /2015-03-31/functions", "after"), ("Action=DeleteSubnet&", "before")):
            self.killed(infra, "destroy", pattern, when)
        infra.run("destroy", "-auto-approve")
        self.assertEqual(self.world.left(), {})


class Database(HalfWay):
    """One life: each step fails in its own way, and the next apply goes on from there."""

    def things(self):
        return [t["facts"] for t in self.world.plane.state()["things"].values() if t["kind"] == "db-instance"]

    def fails(self, infra, words, **variables):
        said = " ".join(infra.run("apply", "-auto-approve", status=1, **variables).split())
        self.assertIn(words, said)

    def test_a_life(self):
        plane, infra = self.world.plane, self.infra(database=True)

        # The quota is used up: all but the instance is made. Raised, the next apply makes that alone.
        plane.control("settings", "POST", {"quotas": {"db-instance": 0}})
        self.fails(infra, "ServiceQuotaExceededException")
        self.assertEqual(self.things(), [])
        plane.control("settings", "POST", {"quotas": {"db-instance": 40}})

        # The creation fails: the instance is tainted, the next apply deletes it and makes another.
        plane.fault("CreateDbInstance", ends="FAILED")
        self.fails(infra, "unexpected state 'FAILED'")
        first, = self.things()
        # Throttling is waited out.
        plane.fault("CreateDbInstance", error="ThrottlingException", count=2)
        plane.fault("GetDbInstance", error="ThrottlingException", count=2)
        self.complete(infra)
        second, = self.things()
        self.assertNotEqual(first["id"], second["id"])

        # A change is refused: nothing was changed, the next apply asks again.
        plane.fault("UpdateDbInstance", error="AccessDeniedException")
        self.fails(infra, "AccessDeniedException", **{"class": "db.influx.large"})
        self.assertEqual(self.things()[0]["dbInstanceType"], "db.influx.medium")
        infra.run("apply", "-auto-approve", **{"class": "db.influx.large"})
        self.assertEqual(self.things()[0]["dbInstanceType"], "db.influx.large")

        # A deletion is refused while the service maintains the instance: the next destroy goes on.
        plane.control("settings", "POST", {"delays": {"maintain": 3600}})
        plane.control("moves", "POST", {"id": second["id"], "what": "maintain"})
        said = infra.run("destroy", "-auto-approve", "-target=module.database", status=1)
        self.assertIn("in progress", " ".join(said.split()))
        plane.advance(3700)
        infra.run("destroy", "-auto-approve", "-target=module.database")
        self.assertEqual(self.things(), [])

        # Killed while the instance is being made: AWS goes on, Terraform knows of nothing, the name is taken. It is imported, not remade.
        self.killed(infra, "apply", "AmazonTimestreamInfluxDB.CreateDbInstance", "after")
        third, = self.things()
        self.fails(infra, "ConflictException")
        infra.run("import", INSTANCE, third["id"])
        self.complete(infra)
        self.assertEqual([t["id"] for t in self.things()], [third["id"]])

        infra.run("destroy", "-auto-approve")
        self.assertEqual(self.world.left(), {})


if __name__ == "__main__":
    unittest.main()
