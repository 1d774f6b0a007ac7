"""The ground of src/aws beside botocore: the same signatures of the same requests, the same endpoints of the same regions, the same credentials
of the same environment, the same retries after the same failures.

aws_peer.c is our side. Random requests (their seed is in every message) are signed by botocore's own signers, and AWS's suite of signatures is
run as botocore's source distribution has it; endpoints come from its rule sets; credentials are what its resolver finds with the same variables
and files, against one server on the loopback that plays STS, the SSO portal, a container's endpoint and instance metadata, and what both ask of
it is compared, too; rates of the adaptive mode are its classes' on one clock.
"""
import calendar
import datetime
import hashlib
import http.server
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import unittest
import urllib.parse
from unittest import mock

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "test", "e2e"))
sys.path.insert(0, os.path.join(ROOT, "test", "conformance"))
import aws_peer  # noqa: E402
import sigv4_suite  # noqa: E402
import botocore.auth  # noqa: E402
import botocore.awsrequest  # noqa: E402
import botocore.credentials  # noqa: E402
import botocore.endpoint_provider  # noqa: E402
import botocore.exceptions  # noqa: E402
import botocore.loaders  # noqa: E402
import botocore.model  # noqa: E402
import botocore.retries.adaptive  # noqa: E402
import botocore.retries.bucket  # noqa: E402
import botocore.retries.standard  # noqa: E402
import botocore.retries.throttling  # noqa: E402
import botocore.session  # noqa: E402
import botocore.utils  # noqa: E402

SEED = int(os.environ.get("AFLUXO_TEST_SEED", "1"))
REQUESTS = int(os.environ.get("AFLUXO_TEST_REQUESTS", "3000"))


def setUpModule():
    global peer, scratch
    scratch = tempfile.mkdtemp(prefix="afluxo-aws-core-")
    peer = aws_peer.Peer(scratch)


def tearDownModule():
    peer.close()
    shutil.rmtree(scratch)


# --- signatures -------------------------------------------------------------------------------------------------------------------------

PIECES = ["a", "B", "7", "-", ".", "_", "~", " ", "+", "%", "=", "&", "?", "#", "'", "\"", "(", ")", "*", "!", ",", ";", ":", "@", "$", "\\",
          "[", "]", "{", "|", "^", "`", "<", "é", "ção", "\u1234", "\U0001f600", "%41", "%2F", "%", "..", "x" * 40]
SEGMENTS = ["", ".", "..", "...", "a", "a b", "%20", "é", "x=y", "a:b", "~", "*"]


class Case:
    """A random request, as botocore and as we are given it. S3's paths are encoded before they are signed, others as they are written."""

    def __init__(self, rng, is_s3):
        self.rng, self.is_s3 = rng, is_s3
        self.method = rng.choice(["GET", "PUT", "POST", "DELETE", "HEAD"])
        raw = "/" + "/".join(rng.choice(SEGMENTS) if rng.random() < 0.6 else self.word(6) for _ in range(rng.randrange(6)))
        if raw.startswith("//"):
            raw = "/s" + raw  # urlsplit would take it for a host
        self.path = urllib.parse.quote(raw, safe="/~") if is_s3 or rng.random() < 0.7 else re.sub(r"[?#\s]", "_", raw)
        self.query = [[self.word(4) or "k", self.word(5)] for _ in range(rng.choice([0, 0, 1, 2, 5]))]
        if self.query and rng.random() < 0.3:
            self.query.append([self.query[0][0], self.word(3)])
        self.host = rng.choice(["example.amazonaws.com", "bucket.s3.sa-east-1.amazonaws.com", "127.0.0.1:5000"])
        self.headers = [["Content-Type", rng.choice(["application/x-amz-json-1.0", "text/plain; charset=utf-8", ""])]]
        for i in range(rng.randrange(4)):
            value = "".join(rng.choice(["a", "Zz", " ", "  ", "=", ",", ";", "\"q\""]) for _ in range(rng.randrange(8))).strip()
            self.headers.append([rng.choice(["X-Amz-Meta-%d" % i, "x-aMZ-thing%d" % i, "My-Header"]), value])
        if rng.random() < 0.2:
            self.headers.append(["My-Header", "again"])
        self.body = self.word(20).encode() if self.method in ("PUT", "POST") else b""
        self.region, self.service = rng.choice(["us-east-1", "sa-east-1", "cn-north-1"]), "s3" if is_s3 else rng.choice(["sqs", "monitoring"])
        self.access, self.secret = ("AKID" + self.word(2).encode().hex())[:128], rng.choice(["wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "é+/", "s"])
        self.token = rng.choice(["", "AQoDYXdzEPT//////////wEXAMPLE==", "t"])
        self.now = rng.randrange(1_400_000_000, 2_000_000_000)

    def word(self, most):
        return "".join(self.rng.choice(PIECES) for _ in range(self.rng.randrange(most + 1)))

    def theirs(self, kind, **more):
        """What botocore makes of it: the request after its signer."""
        url = "https://" + self.host + self.path
        if self.query:
            url += "?" + "&".join("=".join(urllib.parse.quote(side, safe="-_.~") for side in pair) for pair in self.query)
        request = botocore.awsrequest.AWSRequest(method=self.method, url=url, data=self.body)
        request.headers["Host"] = self.host
        for name, value in self.headers:
            request.headers.add_header(name, value)
        signer = kind(botocore.credentials.Credentials(self.access, self.secret, self.token or None), self.service, self.region, **more)
        when = datetime.datetime.fromtimestamp(self.now, datetime.timezone.utc)
        names = [n for n in ("get_current_datetime",) if hasattr(botocore.auth, n)]
        with mock.patch.object(botocore.auth, names[0], lambda **kw: when.replace(tzinfo=None) if kw.get("remove_tzinfo", True) else when):
            signer.add_auth(request)
        return request

    def ours(self, call, headers, **more):
        return peer.ask(call, method=self.method, path=self.path, query=self.query, headers=headers, region=self.region, service=self.service,
                        access=self.access, secret=self.secret, token=self.token, now=self.now, s3=self.is_s3, **more)


class Signatures(unittest.TestCase):
    def by_headers(self, is_s3):
        kind = botocore.auth.S3SigV4Auth if is_s3 else botocore.auth.SigV4Auth
        for i in range(REQUESTS):
            case = Case(random.Random(f"{SEED}/{is_s3}/{i}"), is_s3)
            wanted = case.theirs(kind).headers["Authorization"]
            headers = [["Host", case.host], ["X-Amz-Date", time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(case.now))], *case.headers]
            if case.token:
                headers.append(["X-Amz-Security-Token", case.token])
            body = hashlib.sha256(case.body).hexdigest()
            if is_s3:
                # over https botocore leaves the body of S3 unsigned unless its length or a checksum asks for more
                body = case.theirs(kind).headers["X-Amz-Content-SHA256"]
                headers.append(["x-amz-content-sha256", body])
            got = case.ours("sign", headers, hash=body)
            self.assertEqual(got["authorization"], wanted, f"seed {SEED}, request {i}:\n{got['canonical']}")

    def test_requests_are_signed_as_botocore_signs_them(self):
        self.by_headers(False)

    def test_those_of_s3_too(self):
        self.by_headers(True)

    def test_urls_carry_the_same_signature(self):
        for i in range(REQUESTS):
            is_s3 = bool(i % 2)
            kind = botocore.auth.S3SigV4QueryAuth if is_s3 else botocore.auth.SigV4QueryAuth
            case = Case(random.Random(f"{SEED}/url/{i}"), is_s3)
            case.query = list({name: [name, value] for name, value in case.query}.values())  # its signer keeps one value a name
            case.headers, case.body = [], b""
            expires = case.rng.choice([1, 3600, 604800])
            wanted = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(case.theirs(kind, expires=expires).url).query, keep_blank_values=True))
            url = case.ours("presign", [["Host", case.host]], base="https://" + case.host, expires=expires,
                            hash="UNSIGNED-PAYLOAD" if is_s3 else hashlib.sha256(b"").hexdigest())["url"]
            self.assertTrue(url.startswith("https://" + case.host + case.path + "?"), url)
            self.assertEqual(dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(url).query, keep_blank_values=True)), wanted,
                             f"seed {SEED}, request {i}")

    def test_the_example_of_chunks(self):
        """"Example Calculations" of S3's reference: 65 KiB in chunks of 64."""
        common = dict(method="PUT", path="/examplebucket/chunkObject.txt", query=[], region="us-east-1", service="s3", s3=True, token="",
                      access="AKIAIOSFODNN7EXAMPLE", secret="wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
                      now=calendar.timegm((2013, 5, 24, 0, 0, 0)), hash="STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
                      headers=[["content-encoding", "aws-chunked"], ["content-length", "66824"], ["host", "s3.amazonaws.com"],
                               ["x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"], ["x-amz-date", "20130524T000000Z"],
                               ["x-amz-decoded-content-length", "66560"], ["x-amz-storage-class", "REDUCED_REDUNDANCY"]])
        seed = peer.ask("sign", **common)["signature"]
        self.assertEqual(seed, "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9")
        signature = ""
        for chunk, wanted in (("a" * 65536, "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648"),
                              ("a" * 1024, "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497"),
                              ("", "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9")):
            signature = peer.ask("chunk", **common, previous=signature, chunk=chunk)["signature"]
            self.assertEqual(signature, wanted)


    def test_the_official_suite(self):
        """Which botocore's source distribution brings along; downloaded once, beside the packages that are installed."""
        kept, name = os.path.join(sys.prefix, "sdist"), f"botocore-{botocore.__version__}"
        archive = os.path.join(kept, name + ".tar.gz")
        if not os.path.exists(archive):
            subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", "botocore", "-d", kept,
                            "botocore==" + botocore.__version__], check=True)
        where = f"{name}/tests/unit/auth/aws4_testsuite/"
        with tarfile.open(archive) as tar:
            for member in tar:
                if member.isfile() and member.name.startswith(where):
                    tar.extract(member, scratch)
        count, wrong = sigv4_suite.run(peer, os.path.join(scratch, where))
        self.assertGreater(count, 30)
        self.assertEqual(wrong, [], "\n".join(wrong))


# --- endpoints --------------------------------------------------------------------------------------------------------------------------

SERVICES = {"s3": {"Accelerate": False, "UseGlobalEndpoint": False, "DisableMultiRegionAccessPoints": False, "ForcePathStyle": False},
            "sqs": {}, "secretsmanager": {}, "cloudwatch": {}, "logs": {}, "sts": {"UseGlobalEndpoint": False}, "sns": {}, "kms": {},
            "timestream-write": {}, "timestream-query": {}, "timestream-influxdb": {}, "bedrock-runtime": {}, "events": {}, "ce": {}, "ssm": {},
            "ec2": {}, "iam": {}, "lambda": {}}
PARTITIONS = ("aws", "aws-cn", "aws-us-gov", "aws-eusc", "aws-iso", "aws-iso-b", "aws-iso-e", "aws-iso-f")
ODD = ("ce", "eusc-de-east-1")  # dual-stack only, whatever is asked for


class Endpoints(unittest.TestCase):
    def test_every_service_in_every_region(self):
        loader = botocore.loaders.Loader()
        partitions = loader.load_data("partitions")
        regions = [r for p in partitions["partitions"] if p["id"] in PARTITIONS for r in p["regions"] if not r.endswith("-global")]
        self.assertGreater(len(regions), 30)
        wrong, count = [], 0
        for service, more in SERVICES.items():
            rules = botocore.endpoint_provider.EndpointProvider(loader.load_service_model(service, "endpoint-rule-set-1"), partitions)
            for region in regions:
                if (service, region) == ODD:
                    continue
                for fips in (False, True) if not region.startswith("cn-") else (False,):  # China has no FIPS endpoints
                    for dual in (False, True):
                        try:
                            wanted = rules.resolve_endpoint(Region=region, UseFIPS=fips, UseDualStack=dual, **more).url
                        except botocore.exceptions.EndpointProviderError:
                            continue  # there is none
                        env = {"AWS_USE_FIPS_ENDPOINT": str(fips).lower(), "AWS_USE_DUALSTACK_ENDPOINT": str(dual).lower(),
                               "AWS_EC2_METADATA_DISABLED": "true"}
                        got = peer.ask("endpoint", service=service, region=region, env=env)
                        count += 1
                        if got["url"] != wanted:
                            wrong.append(f"{service} {region} fips={fips} dualstack={dual}: {got['url']}, botocore: {wanted}")
        self.assertGreater(count, 1000)
        self.assertEqual(wrong, [], "\n".join(wrong[:40]))

    def test_configured_ones_are_found_where_botocore_finds_them(self):
        """Every mixture of the ways to set one: the same wins."""
        ways = [("env", "AWS_ENDPOINT_URL_SECRETS_MANAGER"), ("env", "AWS_ENDPOINT_URL"), ("services", None), ("profile", None),
                ("ignore", None), ("env", "AWS_ENDPOINT_URL_SQS")]
        for mask in range(1 << len(ways)):
            env, services, profile = {}, "", ""
            for bit, (kind, name) in enumerate(ways):
                if not mask >> bit & 1:
                    continue
                if kind == "env":
                    env[name] = f"http://127.0.0.1:{bit + 1}/env"
                elif kind == "ignore":
                    env["AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"] = "true"
                elif kind == "services":
                    profile += "services = mine\n"
                    services = "[services mine]\nsecrets_manager =\n  endpoint_url = http://127.0.0.1:3/services\n"
                else:
                    profile += "endpoint_url = http://127.0.0.1:4/profile\n"
            home = World(config=f"[default]\nregion = eu-west-1\n{profile}{services}")
            env = home.env(env)
            with environment(env):
                client = botocore.session.Session().create_client("secretsmanager", aws_access_key_id="a", aws_secret_access_key="s")
            self.assertEqual(peer.ask("endpoint", service="secretsmanager", env=env)["url"], client.meta.endpoint_url.rstrip("/"), env)


# --- credentials ------------------------------------------------------------------------------------------------------------------------

class environment:
    """os.environ is this and no more."""

    def __init__(self, env):
        self.env = env

    def __enter__(self):
        self.kept = dict(os.environ)
        os.environ.clear()
        os.environ.update(self.env)

    def __exit__(self, *args):
        os.environ.clear()
        os.environ.update(self.kept)


class World:
    """A home directory with AWS's files."""

    def __init__(self, config="", credentials="", files=None):
        self.home = tempfile.mkdtemp(dir=scratch)
        os.mkdir(os.path.join(self.home, ".aws"))
        for name, text in {"config": config, "credentials": credentials, **(files or {})}.items():
            path = os.path.join(self.home, ".aws", name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            if text:
                with open(path, "w", encoding="utf-8") as f:
                    f.write(text.replace("HOME", self.home))

    def env(self, more=()):
        files = {"AWS_CONFIG_FILE": "config", "AWS_SHARED_CREDENTIALS_FILE": "credentials"}
        return {"HOME": self.home, "PATH": os.environ["PATH"], "AWS_EC2_METADATA_DISABLED": "true",
                **{name: os.path.join(self.home, ".aws", file) for name, file in files.items()}, **dict(more)}


LATER = "2099-01-01T00:00:00Z"


class Sources(http.server.BaseHTTPRequestHandler):
    """STS, the portal and the token service of SSO, a container's endpoint, instance metadata. The key that is given says who asked for what."""
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    asked = []  # by whoever asks now: method, path, query, headers that count, what is posted

    def note(self, posted=None):
        path, _, query = self.path.partition("?")
        headers = {name: self.headers[name] for name in ("Authorization", "X-aws-ec2-metadata-token", "X-aws-ec2-metadata-token-ttl-seconds",
                                                         "x-amz-sso_bearer_token", "X-Amz-Security-Token") if name in self.headers}
        signed = re.match(r"AWS4-HMAC-SHA256 Credential=([^/]*)/\d*/([^,]*), SignedHeaders=([^,]*)", headers.get("Authorization", ""))
        if signed:
            headers["Authorization"] = signed.group(1), signed.group(2), "host" in signed.group(3)
        if posted and re.fullmatch(r"(botocore-session|afluxo)-\d+", posted.get("RoleSessionName", "")):
            posted = {**posted, "RoleSessionName": "generated"}
        Sources.asked.append((self.command, path, sorted(urllib.parse.parse_qsl(query)), headers, posted))

    def say(self, body, status=200):
        body = body.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_PUT(self):
        self.note()
        self.say("METADATA-TOKEN" if self.path == "/latest/api/token" else "", 200 if self.path == "/latest/api/token" else 404)

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        if self.path == "/token":
            asked = json.loads(body)
            self.note(asked)
            good = asked["grantType"] == "refresh_token" and asked["refreshToken"] == "REFRESH" and asked["clientSecret"] == "CLIENT-SECRET"
            return self.say(json.dumps({"accessToken": "RENEWED", "expiresIn": 28800, "refreshToken": "REFRESH2", "tokenType": "Bearer"}
                                       if good else {"error": "invalid_grant"}), 200 if good else 400)
        form = dict(urllib.parse.parse_qsl(body))
        self.note(form)
        action, role = form["Action"], form["RoleArn"].rsplit("/", 1)[1]
        by = re.search(r"Credential=([^/]*)/", self.headers.get("Authorization", "")) if action == "AssumeRole" else None
        who = by.group(1) if by else form.get("WebIdentityToken", "nobody")
        extra = form.get("ExternalId", "") + form.get("DurationSeconds", "")
        key = f"{role}-by-{who}{'-' + extra if extra else ''}"
        self.say(f"<{action}Response><{action}Result><Credentials><AccessKeyId>{key}</AccessKeyId><SecretAccessKey>s</SecretAccessKey>"
                 f"<SessionToken>t</SessionToken><Expiration>{LATER}</Expiration></Credentials><AssumedRoleUser><AssumedRoleId>A</AssumedRoleId>"
                 f"<Arn>arn</Arn></AssumedRoleUser></{action}Result><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></{action}Response>")

    def do_GET(self):
        path, _, query = self.path.partition("?")
        query = dict(urllib.parse.parse_qsl(query))
        self.note()
        keys = {"SecretAccessKey": "s", "Token": "t", "Expiration": LATER}
        if path == "/federation/credentials":
            token = self.headers["x-amz-sso_bearer_token"]
            key = f"sso-{query['role_name']}-{query['account_id']}-{token}"
            return self.say(json.dumps({"roleCredentials": {"accessKeyId": key, "secretAccessKey": "s", "sessionToken": "t",
                                                            "expiration": 4070908800000}}))
        if path == "/container":
            return self.say(json.dumps({"AccessKeyId": f"container-{self.headers.get('Authorization', '')}", **keys}))
        if self.headers.get("x-aws-ec2-metadata-token") != "METADATA-TOKEN":
            return self.say("", 401)
        if path == "/latest/meta-data/iam/security-credentials/":
            return self.say("loader-role")
        if path == "/latest/meta-data/iam/security-credentials/loader-role":
            return self.say(json.dumps({"Code": "Success", "Type": "AWS-HMAC", "AccessKeyId": "metadata", "LastUpdated": LATER, **keys}))
        self.say("", 404)


STATIC = "aws_access_key_id = {0}\naws_secret_access_key = {0}-secret\n"
ENV_KEYS = {"AWS_ACCESS_KEY_ID": "env", "AWS_SECRET_ACCESS_KEY": "env-secret"}
ROLE = "role_arn = arn:aws:iam::123456789012:role/{0}\n"
PROCESS = "credential_process = printf '{{\"Version\":1,\"AccessKeyId\":\"{0}\",\"SecretAccessKey\":\"s\",\"SessionToken\":\"t\"}}'\n"
SSO_NEW = ("sso_session = corp\nsso_account_id = 1\nsso_role_name = reader\n")
SSO_SECTION = "[sso-session corp]\nsso_region = eu-west-1\nsso_start_url = https://corp.awsapps.com/start\n"
SSO_OLD = "sso_start_url = https://corp.awsapps.com/start\nsso_region = eu-west-1\nsso_account_id = 2\nsso_role_name = admin\n"


def cached(key, token="TOKEN", expires="2099-01-01T00:00:00Z", **more):
    name = hashlib.sha1(key.encode()).hexdigest()
    return {f"sso/cache/{name}.json": json.dumps({"startUrl": "https://corp.awsapps.com/start", "region": "eu-west-1", "accessToken": token,
                                                  "expiresAt": expires, **more})}


# name: (config, credentials, environment, profile asked by option, more files)
CHAIN = {
    "environment": ("[default]\n" + STATIC.format("config"), "[default]\n" + STATIC.format("file"), ENV_KEYS, "", {}),
    "environment with token": ("", "", {**ENV_KEYS, "AWS_SESSION_TOKEN": "tok"}, "", {}),
    "environment and AWS_PROFILE": ("", "[x]\n" + STATIC.format("x"), {**ENV_KEYS, "AWS_PROFILE": "x"}, "", {}),
    "a profile by option is before the environment": ("", "[x]\n" + STATIC.format("x"), ENV_KEYS, "x", {}),
    "credentials file": ("[default]\nregion=eu-west-1\n", "[default]\n" + STATIC.format("file"), {}, "", {}),
    "config file": ("[default]\n" + STATIC.format("config"), "", {}, "", {}),
    "credentials file is before config": ("[default]\n" + STATIC.format("config"), "[default]\n" + STATIC.format("file"), {}, "", {}),
    "environment's with a token and an end": ("", "", {**ENV_KEYS, "AWS_SESSION_TOKEN": "tok", "AWS_CREDENTIAL_EXPIRATION": LATER}, "", {}),
    "AWS_PROFILE": ("[profile x]\n" + STATIC.format("xc") + "[default]\n" + STATIC.format("d"), "", {"AWS_PROFILE": "x"}, "", {}),
    "AWS_DEFAULT_PROFILE": ("[profile x]\n" + STATIC.format("xc"), "", {"AWS_DEFAULT_PROFILE": "x"}, "", {}),
    "a name in quotes": ('[profile "x y"]\n' + STATIC.format("quoted"), "", {"AWS_PROFILE": "x y"}, "", {}),
    "keys of any case": ("[default]\nAWS_Access_Key_ID = any\nAWS_SECRET_ACCESS_KEY= s\n", "", {}, "", {}),
    "blocks between": ("[default]\ns3 =\n  max_concurrent_requests = 20\n  endpoint_url = http://127.0.0.1:1\n" + STATIC.format("after"), "", {}, "",
                       {}),
    "comments": ("# one\n[default] ; two\n; three\n" + STATIC.format("commented"), "", {}, "", {}),
    "process": ("[default]\n" + PROCESS.format("process"), "", {}, "", {}),
    "process with quotes": ("[default]\ncredential_process = sh -c 'printf \"%s\" \"$1\"' x \"{\\\"Version\\\": 1, \\\"AccessKeyId\\\": "
                            "\\\"q #1 ; 2\\\", \\\"SecretAccessKey\\\": \\\"s\\\"}\"\n", "", {}, "", {}),
    "keys of the credentials file before a process": ("[default]\n" + PROCESS.format("process"), "[default]\n" + STATIC.format("file"), {}, "", {}),
    "assumed with a source profile": ("[profile r]\n" + ROLE.format("up") + "source_profile = base\n[profile base]\n" + STATIC.format("base"), "",
                                      {"AWS_PROFILE": "r"}, "", {}),
    "assumed, with everything": ("[profile r]\n" + ROLE.format("up") + "source_profile = base\nexternal_id = ext\nduration_seconds = 3600\n"
                                 "role_session_name = me\n[profile base]\n" + STATIC.format("base"), "", {"AWS_PROFILE": "r"}, "", {}),
    "assumed of assumed": ("[profile r]\n" + ROLE.format("top") + "source_profile = mid\n[profile mid]\n" + ROLE.format("middle") +
                           "source_profile = base\n[profile base]\n" + STATIC.format("base"), "", {"AWS_PROFILE": "r"}, "", {}),
    "assumed, the source has keys and a role": ("[profile r]\n" + ROLE.format("top") + "source_profile = mid\n[profile mid]\n" +
                                                ROLE.format("middle") + "source_profile = base\n" + STATIC.format("midkeys") +
                                                "[profile base]\n" + STATIC.format("base"), "", {"AWS_PROFILE": "r"}, "", {}),
    "assumed by itself": ("[profile r]\n" + ROLE.format("self") + "source_profile = r\n" + STATIC.format("own"), "", {"AWS_PROFILE": "r"}, "", {}),
    "assumed with the environment's": ("[profile r]\n" + ROLE.format("env") + "credential_source = Environment\n", "",
                                       {"AWS_PROFILE": "r", **ENV_KEYS}, "r", {}),
    "assumed with a container's": ("[profile r]\n" + ROLE.format("con") + "credential_source = EcsContainer\n", "",
                                   {"AWS_PROFILE": "r", "AWS_CONTAINER_CREDENTIALS_FULL_URI": "SERVER/container"}, "", {}),
    "assumed with metadata's": ("[profile r]\n" + ROLE.format("ec2") + "credential_source = Ec2InstanceMetadata\n", "",
                                {"AWS_PROFILE": "r", "AWS_EC2_METADATA_DISABLED": "false", "AWS_EC2_METADATA_SERVICE_ENDPOINT": "SERVER"}, "", {}),
    "assumed with a process": ("[profile r]\n" + ROLE.format("up") + "source_profile = p\n[profile p]\n" + PROCESS.format("proc"), "",
                               {"AWS_PROFILE": "r"}, "", {}),
    "assumed with sso": ("[profile r]\n" + ROLE.format("up") + "source_profile = p\n[profile p]\n" + SSO_NEW + SSO_SECTION, "",
                         {"AWS_PROFILE": "r"}, "", cached("corp")),
    "assumed with a web identity": ("[profile r]\n" + ROLE.format("up") + "source_profile = w\n[profile w]\n" + ROLE.format("web") +
                                    "web_identity_token_file = HOME/.aws/token\n", "", {"AWS_PROFILE": "r"}, "", {"token": "WEBTOKEN"}),
    "web identity of the environment": ("", "", {"AWS_ROLE_ARN": "arn:aws:iam::1:role/envweb", "AWS_WEB_IDENTITY_TOKEN_FILE": "HOME/.aws/token"},
                                        "", {"token": "WEBTOKEN"}),
    "web identity of the environment before a profile's keys":
        ("", "[default]\n" + STATIC.format("file"), {"AWS_ROLE_ARN": "arn:aws:iam::1:role/envweb", "AWS_WEB_IDENTITY_TOKEN_FILE": "HOME/.aws/token"},
         "", {"token": "WEBTOKEN"}),
    "not before a profile by option":
        ("", "[x]\n" + STATIC.format("x"), {"AWS_ROLE_ARN": "arn:aws:iam::1:role/envweb", "AWS_WEB_IDENTITY_TOKEN_FILE": "HOME/.aws/token"}, "x",
         {"token": "WEBTOKEN"}),
    "a profile's role before the environment's web identity":
        ("[default]\n" + ROLE.format("up") + "source_profile = base\n[profile base]\n" + STATIC.format("base"), "",
         {"AWS_ROLE_ARN": "arn:aws:iam::1:role/envweb", "AWS_WEB_IDENTITY_TOKEN_FILE": "HOME/.aws/token"}, "", {"token": "WEBTOKEN"}),
    "web identity of a profile": ("[default]\n" + ROLE.format("web") + "web_identity_token_file = HOME/.aws/token\nrole_session_name = me\n", "", {},
                                  "", {"token": "WEBTOKEN"}),
    "sso": ("[default]\n" + SSO_NEW + SSO_SECTION, "", {}, "", cached("corp")),
    "sso, the older way": ("[default]\n" + SSO_OLD, "", {}, "", cached("https://corp.awsapps.com/start")),
    "sso before keys": ("[default]\n" + SSO_NEW + SSO_SECTION, "[default]\n" + STATIC.format("file"), {}, "", cached("corp")),
    "sso, renewed": ("[default]\n" + SSO_NEW + SSO_SECTION, "", {}, "",
                     cached("corp", expires="2020-01-01T00:00:00Z", refreshToken="REFRESH", clientId="CLIENT", clientSecret="CLIENT-SECRET",
                            registrationExpiresAt="2099-01-01T00:00:00Z")),
    "container": ("", "", {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "SERVER/container"}, "", {}),
    "container with a token": ("", "", {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "SERVER/container", "AWS_CONTAINER_AUTHORIZATION_TOKEN": "Tok"}, "",
                               {}),
    "container with the token of a file": ("", "", {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "SERVER/container",
                                                    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": "HOME/.aws/token",
                                                    "AWS_CONTAINER_AUTHORIZATION_TOKEN": "Other"}, "", {"token": "FromFile"}),
    "a profile before a container": ("[default]\n" + PROCESS.format("process"), "", {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "SERVER/container"}, "",
                                     {}),
    "an empty profile and a container": ("[profile x]\nregion = us-east-1\n", "", {"AWS_PROFILE": "x", "AWS_CONTAINER_CREDENTIALS_FULL_URI":
                                                                                    "SERVER/container"}, "", {}),
    "metadata": ("", "", {"AWS_EC2_METADATA_DISABLED": "false", "AWS_EC2_METADATA_SERVICE_ENDPOINT": "SERVER/"}, "", {}),
    "metadata by the profile": ("[default]\nec2_metadata_service_endpoint = SERVER\n", "", {"AWS_EC2_METADATA_DISABLED": "false"}, "", {}),
}
# Both find nothing, or say that something is wrong.
REFUSED = {
    "environment's with no end that is a time": ("", "", {**ENV_KEYS, "AWS_CREDENTIAL_EXPIRATION": "soon"}, "", {}),
    "nothing": ("", "", {}, "", {}),
    "half of the environment's": ("", "", {"AWS_ACCESS_KEY_ID": "a"}, "", {}),
    "half of a file's": ("", "[default]\naws_access_key_id = a\n", {}, "", {}),
    "no such profile": ("", "", {"AWS_PROFILE": "none"}, "", {}),
    "a role of nobody": ("[default]\n" + ROLE.format("r"), "", {}, "", {}),
    "a role of two": ("[default]\n" + ROLE.format("r") + "source_profile = b\ncredential_source = Environment\n[profile b]\n" +
                      STATIC.format("b"), "", ENV_KEYS, "default", {}),
    "a source that is not there": ("[default]\n" + ROLE.format("r") + "source_profile = none\n", "", {}, "", {}),
    "a source that is none": ("[default]\n" + ROLE.format("r") + "credential_source = Moon\n", "", {}, "", {}),
    "roles in a circle": ("[profile a]\n" + ROLE.format("a") + "source_profile = b\n[profile b]\n" + ROLE.format("b") + "source_profile = a\n", "",
                          {"AWS_PROFILE": "a"}, "", {}),
    "a process that fails": ("[default]\ncredential_process = false\n", "", {}, "", {}),
    "a process that is not there": ("[default]\ncredential_process = /nonexistent/x\n", "", {}, "", {}),
    "a process of version 2": ("[default]\ncredential_process = printf '{\"Version\": 2, \"AccessKeyId\": \"a\", \"SecretAccessKey\": \"s\"}'\n", "", {},
                               "", {}),
    "a process without a version": ("[default]\ncredential_process = printf '{\"AccessKeyId\": \"a\", \"SecretAccessKey\": \"s\"}'\n", "", {}, "", {}),
    "a process that prints no JSON": ("[default]\ncredential_process = echo hello\n", "", {}, "", {}),
    "sso without a token": ("[default]\n" + SSO_NEW + SSO_SECTION, "", {}, "", {}),
    "sso with an old token": ("[default]\n" + SSO_NEW + SSO_SECTION, "", {}, "", cached("corp", expires="2020-01-01T00:00:00Z")),
    "sso without its section": ("[default]\n" + SSO_NEW, "", {}, "", cached("corp")),
    "sso without a role": ("[default]\nsso_session = corp\nsso_account_id = 1\n" + SSO_SECTION, "", {}, "", cached("corp")),
    "a token file that is not there": ("", "", {"AWS_ROLE_ARN": "arn:aws:iam::1:role/x", "AWS_WEB_IDENTITY_TOKEN_FILE": "HOME/none"}, "", {}),
    "a token without a role": ("", "", {"AWS_WEB_IDENTITY_TOKEN_FILE": "HOME/.aws/token"}, "", {"token": "WEBTOKEN"}),
    "a container elsewhere": ("", "", {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://192.0.2.1/x"}, "", {}),
    "a container whose name begins as ours": ("", "", {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.example.com/x"}, "", {}),
    "garbage": ("\0\1\2[[[", "", {}, "", {}),
    "no section": ("region = x\n", "", {}, "", {}),
    "a section without an end": ("[default\nregion = x\n", "", {}, "", {}),
}


class Credentials(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Sources)
        cls.server.daemon_threads = True
        threading.Thread(target=cls.server.serve_forever, daemon=True).start()
        cls.url = "http://127.0.0.1:%d" % cls.server.server_port

    @classmethod
    def tearDownClass(cls):
        cls.server.shutdown()
        cls.server.server_close()

    def world(self, case):
        config, credentials, env, profile, files = case
        world = World(config.replace("SERVER", self.url), credentials, files)
        base = {"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-1", "AWS_ENDPOINT_URL_STS": self.url, "AWS_ENDPOINT_URL_SSO": self.url,
                "AWS_ENDPOINT_URL_SSO_OIDC": self.url}
        env = world.env({k: v.replace("SERVER", self.url).replace("HOME", world.home) if v else v for k, v in {**base, **env}.items()})
        return {k: v for k, v in env.items() if v is not None}, profile

    def theirs(self, env, profile):
        with environment(env), mock.patch("os.path.expanduser", lambda p: p.replace("~", env["HOME"])):
            botocore.credentials.JSONFileCache.CACHE_DIR = os.path.join(env["HOME"], "cache")
            botocore.utils.JSONFileCache.CACHE_DIR = os.path.join(env["HOME"], "cache")
            session = botocore.session.Session(profile=profile or None)
            sso = os.path.join(env["HOME"], ".aws", "sso", "cache")
            with mock.patch.object(botocore.credentials.SSOProvider, "_SSO_TOKEN_CACHE_DIR", sso), \
                    mock.patch("botocore.tokens.SSOTokenProvider._SSO_TOKEN_CACHE_DIR", sso, create=True):
                found = session.get_credentials()
                return found.get_frozen_credentials() if found else None

    def test_every_source_gives_the_same_key_for_the_same_requests(self):
        for name, case in CHAIN.items():
            with self.subTest(name):
                env, profile = self.world(case)
                Sources.asked = ours = []
                got = peer.ask("credentials", env=env, profile=profile)
                env, profile = self.world(case)  # anew: a renewed token is written down
                Sources.asked = theirs = []
                wanted = self.theirs(env, profile)
                self.assertIsNotNone(wanted)
                self.assertEqual((got["access"], got["secret"], got["token"]), (wanted.access_key, wanted.secret_key, wanted.token or ""))
                self.assertEqual(ours, theirs)

    def test_what_botocore_refuses_or_does_not_find_we_do_not_find_either(self):
        for name, case in REFUSED.items():
            with self.subTest(name):
                env, profile = self.world(case)
                try:
                    wanted = self.theirs(env, profile)
                except Exception:
                    wanted = None
                self.assertIsNone(wanted)
                with self.assertRaises(aws_peer.Failed) as caught:
                    peer.ask("credentials", env=env, profile=profile)
                self.assertIn(caught.exception.status, ("EUNAUTH", "ENOTFOUND", "EINVAL"), caught.exception.message)

    def test_when_they_end(self):
        for name in ("environment's with a token and an end", "container", "metadata", "sso", "assumed with a source profile"):
            env, profile = self.world(CHAIN[name])
            self.assertEqual(int(peer.ask("credentials", env=env, profile=profile)["expires"]), 4070908800, name)

    def test_roles_need_no_region(self):
        """Where botocore asks for one when the endpoint is a configured one, too."""
        env, profile = self.world(("[profile r]\n" + ROLE.format("up") + "source_profile = base\n[profile base]\n" + STATIC.format("base"), "",
                                   {"AWS_PROFILE": "r", "AWS_REGION": None, "AWS_DEFAULT_REGION": None}, "", {}))
        self.assertEqual(peer.ask("credentials", env=env, profile=profile)["access"], "up-by-base")

    def test_a_renewed_sso_token_is_kept_for_the_next(self):
        env, profile = self.world(CHAIN["sso, renewed"])
        self.assertEqual(peer.ask("credentials", env=env, profile=profile)["access"], "sso-reader-1-RENEWED")
        [name] = os.listdir(os.path.join(env["HOME"], ".aws", "sso", "cache"))
        path = os.path.join(env["HOME"], ".aws", "sso", "cache", name)
        with open(path) as f:
            kept = json.load(f)
        self.assertEqual((kept["accessToken"], kept["refreshToken"], kept["clientSecret"]), ("RENEWED", "REFRESH2", "CLIENT-SECRET"))
        self.assertGreater(kept["expiresAt"], time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
        self.assertEqual(self.theirs(env, profile).access_key, "sso-reader-1-RENEWED")

    def test_no_secret_is_in_a_message(self):
        secret = "hunter2hunter2"
        for config, env in ((f"[default]\naws_secret_access_key = {secret}\n", {}), (f"[default]\nwhat {secret}\n", {}),
                            (f"[default]\ncredential_process = false {secret}\n", {}),
                            ("", {"AWS_SECRET_ACCESS_KEY": secret}),
                            ("", {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:1/", "AWS_CONTAINER_AUTHORIZATION_TOKEN": secret})):
            env = World(config).env(env)
            with self.assertRaises(aws_peer.Failed) as caught:
                peer.ask("credentials", env=env, profile="")
            self.assertNotIn(secret, caught.exception.message)


# --- retries ----------------------------------------------------------------------------------------------------------------------------

class Clock:
    """A clock that stands still between events, and the condition that a bucket waits by."""

    def __init__(self, ns):
        self.ns, self.slept = ns, 0.0

    def current_time(self):
        return self.ns / 1e9

    def wait(self, seconds):
        self.slept += seconds
        self.ns += round(seconds * 1e9) + 1

    def notify(self):
        pass

    __enter__ = __exit__ = lambda self, *args: None


class Retries(unittest.TestCase):
    CALLED = ("sqs", "secretsmanager", "cloudwatch", "logs", "sts", "sns", "kms", "timestream-write", "timestream-query", "timestream-influxdb",
              "bedrock-runtime", "s3")
    GENERIC = ["", "Nonsense", "AccessDenied", "ValidationException", *botocore.retries.standard.ThrottledRetryableChecker._THROTTLED_ERROR_CODES,
               *botocore.retries.standard.TransientRetryableChecker._TRANSIENT_ERROR_CODES]
    # Where we are more patient: SQS's own words for throttling, any 429, and what services say at any status though their models do not.
    THROTTLED = {"KmsThrottled", "OverLimit"}
    PASSING = {"InternalError", "InternalFailure", "InternalServerError", "InternalServerException", "ServiceUnavailable", "ServiceUnavailableException",
            "KMSInternalException", "InternalServiceError"}

    def test_what_is_tried_again(self):
        loader, conditions = botocore.loaders.Loader(), botocore.retries.standard.StandardRetryConditions(2)
        detector = botocore.retries.standard.ThrottlingErrorDetector(botocore.retries.standard.RetryEventAdapter())
        wrong, count = [], 0
        for service in self.CALLED:
            model = botocore.model.ServiceModel(loader.load_service_model(service, "service-2"))
            for operation in map(model.operation_model, model.operation_names):
                modeled = {(s.metadata.get("error", {}).get("code") or s.name): s.metadata.get("error", {}).get("httpStatusCode", 400)
                           for s in operation.error_shapes}
                asked = [(status, code) for code, status in modeled.items()]
                if operation.name == model.operation_names[0]:
                    asked += [(status, code) for code in self.GENERIC for status in (400, 403, 404, 429, 500, 501, 502, 503, 504)]
                for status, code in asked:
                    context = botocore.retries.standard.RetryContext(
                        1, operation_model=operation, parsed_response={"Error": {"Code": code}}, http_response=mock.Mock(status_code=status))
                    wanted = "failed"
                    if conditions.is_retryable(context):
                        wanted = "throttled" if detector.is_throttling_error_from_context(context) else "transient"
                    got, count = peer.ask("judge", status=status, code=code)["verdict"], count + 1
                    if got != wanted and not (got in ("expired", "skewed") or (got == "transient" and code in self.PASSING) or
                                              (got == "throttled" and wanted == "failed" and (status == 429 or code in self.THROTTLED))):
                        wrong.append(f"{service} {operation.name} {status} {code}: {got}, botocore: {wanted}")
        self.assertGreater(count, 1000)
        self.assertEqual(wrong, [], "\n".join(wrong[:60]))

    def test_rates_of_the_adaptive_mode(self):
        for i in range(60):
            rng = random.Random(f"{SEED}/rate/{i}")
            start = rng.randrange(10 ** 9, 10 ** 13)
            clock = Clock(start)
            bucket = botocore.retries.bucket.TokenBucket(max_rate=1, clock=clock)
            bucket._new_fill_rate_condition = clock
            throttled = [False]
            limiter = botocore.retries.adaptive.ClientRateLimiter(
                rate_adjustor=botocore.retries.throttling.CubicCalculator(starting_max_rate=0, start_time=clock.current_time()),
                rate_clocker=botocore.retries.adaptive.RateClocker(clock), token_bucket=bucket, clock=clock,
                throttling_detector=mock.Mock(is_throttling_error=lambda **kw: throttled[0]))
            events, wanted, share = [], [], rng.choice([0, 0.05, 0.3, 0.9])
            for _ in range(300):
                clock.ns += rng.choice([0, 1, 10 ** 6, 10 ** 7, 10 ** 8, rng.randrange(3 * 10 ** 9)])
                events.append([clock.ns, "send"])
                clock.slept = 0.0
                limiter.on_sending_request(request=None)
                wanted.append(clock.slept)
                clock.ns += rng.randrange(1, 3 * 10 ** 8)
                throttled[0] = rng.random() < share
                events.append([clock.ns, "throttled" if throttled[0] else "fine"])
                limiter.on_receiving_response()
                wanted += [bucket.max_rate, limiter._rate_clocker.measured_rate, bucket.available_capacity]
            got = [float(v) for v in peer.ask("rate", start=start, events=events)["values"].split()]
            self.assertEqual(len(got), len(wanted))
            for n, (ours, theirs) in enumerate(zip(got, wanted)):
                self.assertAlmostEqual(ours, theirs, delta=1e-6 * max(1, abs(theirs)), msg=f"seed {SEED}/{i}, value {n}")


if __name__ == "__main__":
    unittest.main()
