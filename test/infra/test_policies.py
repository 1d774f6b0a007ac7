"""Two scanners that are not ours read infra/: checkov its files, parliament every policy that an apply of example production makes.

Both live in an environment of their own ($POLICY_VENV, else build/venv-policy; tools/install.sh policy), since checkov asks for a boto3
that is older than the one the other tests speak to AWS's newest operations with.

A finding of checkov's that is not to be followed is answered where it stands, by #checkov:skip=ID:reason. What parliament does not know
or sees otherwise is listed here with the reason.
"""
import glob
import json
import os
import re
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import applied  # noqa: E402
import terraform  # noqa: E402

INFRA = os.path.join(terraform.ROOT, "infra")
VENV = os.environ.get("POLICY_VENV") or os.path.join(terraform.ROOT, "build", "venv-policy")
SKIP = re.compile(r"#checkov:skip=(\w+):(.*)")
# parliament's findings that are none: (issue, the whole of its detail as a pattern) -> why
EXPLAINED = {
    ("RESOURCE_STAR", r'\["ec2:AssignPrivateIpAddresses", "ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface", '
                      r'"ec2:UnassignPrivateIpAddresses"\]'):
        "Lambda asks for these of every interface before it creates the function; the function's own code is denied them",
    ("RESOURCE_STAR", r'\["ec2:CreateNetworkInterface"\]'):
        "the service makes the interfaces of a restored instance with the caller's rights; which resources it names was never seen",
    ("UNKNOWN_ACTION", r"Unknown action timestream-influxdb:((Create|Delete|Get|RestoreFrom)DbBackup|ListDbBackups)"):
        "the service has backups since August 2026, parliament 1.6.4's tables are older",
    ("UNKNOWN_CONDITION_FOR_ACTION", r"Unknown condition lambda:SourceFunctionArn for action ec2:\w+"):
        "Lambda puts this key into every request of a function's code, whatever the action; the tables list it with none",
}


def tool(name):
    path = os.path.join(VENV, "bin", name)
    if not os.path.exists(path):
        raise RuntimeError(f"no {path}: tools/install.sh policy puts it there, or name an environment by POLICY_VENV")
    return path


def scan(directory):
    """checkov's report on a directory; nothing is asked of the network."""
    with tempfile.TemporaryDirectory(prefix="afluxo-home-") as home:
        done = subprocess.run([tool("checkov"), "-d", directory, "--framework", "terraform", "-o", "json", "--skip-download"],
                              env={**terraform.clean_env(), "HOME": home}, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=600)
    return json.loads(done.stdout)


def names(findings):
    return sorted({f"{f['check_id']} {f['file_path']} {f['resource']}: {f['check_name']}" for f in findings})


class Files(unittest.TestCase):
    """checkov."""
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.report = scan(INFRA)

    def test_every_file_was_read(self):
        self.assertEqual(self.report["results"]["parsing_errors"], [])
        self.assertGreater(self.report["summary"]["passed"], 500)

    def test_no_finding_is_unexplained(self):
        self.assertEqual(names(self.report["results"]["failed_checks"]), [])

    def test_every_explanation_says_why_and_is_needed(self):
        used = {(f["check_id"], os.path.join(INFRA, f["file_path"].lstrip("/"))) for f in self.report["results"]["skipped_checks"]}
        for path in glob.glob(os.path.join(INFRA, "**", "*.tf"), recursive=True):
            with open(path) as f:
                for check, reason in SKIP.findall(f.read()):
                    with self.subTest(path=os.path.relpath(path, INFRA), check=check):
                        self.assertGreater(len(reason.strip()), 7)
                        self.assertIn((check, path), used, "nothing is found there any more: take the line away")

    def test_the_scanner_sees(self):
        """Faults put in are found, so that silence means something."""
        bad = ('resource "aws_security_group_rule" "open" {\n  type = "ingress"\n  from_port = 22\n  to_port = 22\n  protocol = "tcp"\n'
               '  cidr_blocks = ["0.0.0.0/0"]\n  security_group_id = "sg-1"\n}\n'
               'data "aws_iam_policy_document" "all" {\n  statement {\n    actions = ["*"]\n    resources = ["*"]\n  }\n}\n')
        with tempfile.TemporaryDirectory(prefix="afluxo-scan-") as where:
            with open(os.path.join(where, "main.tf"), "w") as f:
                f.write(bad)
            found = {f["check_id"] for f in scan(where)["results"]["failed_checks"]}
        self.assertLessEqual({"CKV_AWS_24", "CKV_AWS_49"}, found)


PARLIAMENT = """
import json, sys
import parliament
out = []
for name, text in json.load(sys.stdin):
    for finding in parliament.analyze_policy_string(text, filepath=name).findings:
        detail = finding.detail if isinstance(finding.detail, str) else json.dumps(finding.detail, default=str)
        location = finding.location if isinstance(finding.location, dict) else {}
        out.append([name, finding.issue, detail, json.dumps(location, default=str)])
json.dump(out, sys.stdout)
"""


def judge(policies):
    """parliament's findings on (name, policy as text): (name, issue, detail, location)."""
    done = subprocess.run([tool("python"), "-W", "ignore", "-c", PARLIAMENT], input=json.dumps(policies), stdout=subprocess.PIPE, text=True,
                          timeout=300, check=True)
    return [tuple(row) for row in json.loads(done.stdout)]


def explanations(row):
    return [(issue, pattern) for issue, pattern in EXPLAINED if row[1] == issue and re.fullmatch(pattern, row[2])]


def without_principals(text):
    """parliament reads what is attached to a role; who is trusted, and what a resource says of itself, it takes for faults."""
    return not any("Principal" in statement for statement in applied.as_list(json.loads(text)["Statement"]))


class Policies(unittest.TestCase):
    """parliament."""
    maxDiff = None

    def test_the_judge_sees(self):
        found = {issue for _, issue, *_ in judge([
            ("unknown", '{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:GetObjekt", "Resource": "*"}}'),
            ("elsewhere", '{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:GetObject", '
                          '"Resource": "arn:aws:s3:::bucket"}}')])}
        self.assertLessEqual({"UNKNOWN_ACTION", "RESOURCE_MISMATCH"}, found)

    def test_every_policy_of_the_platform(self):
        world = applied.World()
        self.addCleanup(world.close)
        infra = world.apply("production", emails=["a@b.co"], callers=["arn:aws:iam::123456789012:role/analyst"], monthly_budget=500,
                            scaling_mode="act")
        self.addCleanup(infra.close)
        resources = applied.resources_of(applied.planned(infra))
        policies = [(r["address"], r["values"]["policy"]) for r in resources if r["type"] in ("aws_iam_role_policy", "aws_iam_policy")]
        self.assertGreater(len(policies), 10)
        self.assertTrue(all(without_principals(text) for _, text in policies))
        self.assertTrue(any("timestream-influxdb:UpdateDbInstance" in text for _, text in policies), "the scaler is to act here")
        found = judge(policies)
        self.assertEqual([row for row in found if not explanations(row)], [])
        needed = {key for row in found for key in explanations(row)}
        self.assertEqual(set(EXPLAINED) - needed, set(), "no longer found: take it off the list")


if __name__ == "__main__":
    unittest.main()
