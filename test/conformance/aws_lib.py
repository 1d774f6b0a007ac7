"""What the tests of AWS share: moto's server (S3, SQS, Secrets Manager, STS ...), boto3 to look at it, a runtime API of Lambda."""
import json
import os
import subprocess
import sys
import time
import urllib.parse
import urllib.request

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", room) for room in ("e2e", "lib")]
import lib  # noqa: E402
import boto3  # noqa: E402
from runtime_api import RuntimeApi  # noqa: E402, F401

REGION = "us-east-1"
KEYS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION,
        "AWS_CONFIG_FILE": "/nonexistent", "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent", "AWS_EC2_METADATA_DISABLED": "true"}


class Moto:
    """moto's server in a process of its own, on a free loopback port."""

    def __init__(self, start=("-m", "moto.server")):
        self.port = lib.free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = subprocess.Popen([sys.executable, *start, "-H", "127.0.0.1", "-p", str(self.port)],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(600):
            try:
                urllib.request.urlopen(self.url + "/moto-api/data.json", timeout=5).read()
                return
            except OSError:
                if self.process.poll() is not None:
                    break
                time.sleep(0.05)
        self.close()
        raise RuntimeError("moto's server did not start")

    def close(self):
        self.process.kill()
        self.process.wait()

    def client(self, service):
        return boto3.client(service, endpoint_url=self.url, region_name=REGION, aws_access_key_id="testing",
                            aws_secret_access_key="testing")

    def env(self, url=None, **more):
        return {**os.environ, **KEYS, "AWS_ENDPOINT_URL": url or self.url, **more}


def s3_event(bucket, *keys, sequencer=None):
    return {"Records": [{"eventSource": "aws:s3", "eventName": "ObjectCreated:Put",
                         "s3": {"bucket": {"name": bucket}, "object": {"key": urllib.parse.quote_plus(key, safe="/"), "size": 1,
                                                                      "sequencer": sequencer or "0055AED6DCD90281E5"}}} for key in keys]}


def sqs_event(*bodies):
    return {"Records": [{"messageId": f"m{i}", "receiptHandle": f"r{i}", "eventSource": "aws:sqs",
                         "body": body if isinstance(body, str) else json.dumps(body)} for i, body in enumerate(bodies)]}
