"""Terraform for tests: the real program with the real AWS provider, in a directory of its own, against stand-ins of AWS.

The program is $TERRAFORM, else terraform or tofu of the PATH. The provider comes from a directory of plugins, so that nothing is fetched:
$TF_PLUGIN_DIR, else one of Terraform's own places, else /opt/*; where there is none, `init` asks the registry. Neither is in Debian, PyPI
or npm: a machine without them runs no test of this folder, and such a test fails with what is missing.
"""
import glob
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", room) for room in ("e2e", "lib")]

PLACES = ("~/.terraform.d/plugins", "~/.local/share/terraform/plugins", "/usr/local/share/terraform/plugins",
          "/usr/share/terraform/plugins", "/opt/*")
KEYS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_REGION": "us-east-1", "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull, "AWS_EC2_METADATA_DISABLED": "true"}


def program():
    named = os.environ.get("TERRAFORM")
    found = named or shutil.which("terraform") or shutil.which("tofu")
    if not found:
        raise RuntimeError("no terraform and no tofu on the PATH (or name one by TERRAFORM): install Terraform >= 1.11 or OpenTofu >= 1.11 "
                           "by hand, it is in no package registry that tools/install.sh uses")
    return found


def plugins():
    """A directory that `init -plugin-dir` takes, or None: the registry."""
    named = os.environ.get("TF_PLUGIN_DIR")
    places = [named] if named else [d for place in PLACES for d in sorted(glob.glob(os.path.expanduser(place)))]
    for place in places:
        if glob.glob(os.path.join(place, "registry.*", "hashicorp", "aws", "*", "*", "terraform-provider-aws*")):
            return place
    if named:
        raise RuntimeError(f"TF_PLUGIN_DIR={named} holds no hashicorp/aws: it must be the directory above registry.terraform.io")
    return None


def clean_env(**more):
    """Nothing of this machine's AWS or Terraform set-up."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "TF_"))}
    return {**clean, **KEYS, "TF_IN_AUTOMATION": "1", "CHECKPOINT_DISABLE": "1", "TF_INPUT": "0", **more}


class Terraform:
    """A configuration in a temporary directory, with its state. Nothing of this machine's AWS or Terraform set-up reaches it."""

    def __init__(self, text, **variables):
        self.directory = tempfile.TemporaryDirectory(prefix="afluxo-terraform-")
        with open(os.path.join(self.directory.name, "main.tf"), "w") as f:
            f.write(text)
        self.env = clean_env(**{f"TF_VAR_{k}": str(v) for k, v in variables.items()})
        self.init()

    def init(self):
        where = plugins()
        self.run("init", *([f"-plugin-dir={where}"] if where else []))

    def close(self):
        self.directory.cleanup()

    def run(self, command, *args, status=0, timeout=900, **variables):
        """What it printed. `status`: what it must end with."""
        env = {**self.env, **{f"TF_VAR_{k}": str(v) for k, v in variables.items()}}
        p = subprocess.run([program(), command, "-no-color", *args], cwd=self.where(), env=env, stdin=subprocess.DEVNULL,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout)
        if p.returncode != status:
            raise AssertionError(f"terraform {command}: exit {p.returncode}, not {status}\n{p.stdout[-6000:]}")
        return p.stdout

    def start(self, command, *args):
        """The program at work, in a process group of its own with its providers: kill(process) ends all of them at once."""
        return subprocess.Popen([program(), command, "-no-color", *args], cwd=self.where(), env=self.env, stdin=subprocess.DEVNULL,
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)

    def variables(self, **values):
        with open(os.path.join(self.where(), "test.auto.tfvars.json"), "w") as f:
            json.dump(values, f)

    def where(self):
        return self.directory.name


def kill(process):
    """As if the machine had lost its power: nothing is finished, nothing written down."""
    os.killpg(process.pid, signal.SIGKILL)


ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROVIDER = """provider "aws" {
  s3_use_path_style           = true
  skip_credentials_validation = true
  skip_metadata_api_check     = true
}
"""


class Infra(Terraform):
    """An example of infra/ in a copy of it, or a configuration of a test's own beside the examples; every service at `url`."""

    def __init__(self, url, example=None, text=""):
        self.directory = tempfile.TemporaryDirectory(prefix="afluxo-infra-")
        shutil.copytree(os.path.join(ROOT, "infra"), os.path.join(self.directory.name, "infra"),
                        ignore=shutil.ignore_patterns(".terraform*", "*.tfstate*"))
        self.example = example or "of-this-test"
        os.makedirs(self.where(), exist_ok=True)
        self.write("test_override.tf" if example else "provider.tf", PROVIDER)
        if text:
            self.write("main.tf", text)
        self.env = clean_env(AWS_ENDPOINT_URL=url, AWS_DEFAULT_REGION="us-east-1")
        self.init()

    def where(self):
        return os.path.join(self.directory.name, "infra", "examples", self.example)

    def write(self, name, text):
        with open(os.path.join(self.where(), name), "w") as f:
            f.write(text)


def errors(text):
    """The messages of a failed run, each on one line."""
    return [" ".join(part.split()) for part in text.replace("│", " ").split("Error: ")[1:]]
