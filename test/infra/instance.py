"""What stands for an instance of Timestream for InfluxDB: `afluxo serve` behind TLS, as one is found after its creation: organisation ons,
bucket energy_data, user admin with the first password. Where INFLUXD2 names InfluxDB 2's influxd, that one instead.

    instance = Instance()            at instance.url (https://localhost:PORT), whose certificate instance.ca signs
    instance.begin("first1234")      as new: nothing of ours in it, and that password
    instance.opens("first1234")
"""
import base64
import json
import os
import shutil
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", room) for room in ("e2e", "lib")]
import lib  # noqa: E402

OPERATOR = "operator-token-of-the-tests-0123456789"
BUCKET = "energy_data"


def make_certificate(directory, *names):
    cert, key = os.path.join(directory, "cert.pem"), os.path.join(directory, "key.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert, "-days", "30", "-subj",
                    "/CN=localhost", "-addext", "subjectAltName=" + ",".join(names)], check=True, capture_output=True)
    return cert, key


class Instance:
    def __init__(self, names=("DNS:localhost", "IP:127.0.0.1", "DNS:*.timestream-influxdb.us-east-1.on.aws")):
        self.directory = tempfile.mkdtemp(prefix="afluxo-instance-")
        self.ca, self.key = make_certificate(self.directory, *names)
        self.port, self.real = lib.free_port(), os.environ.get("INFLUXD2")
        self.url = f"https://localhost:{self.port}"
        context = ssl.create_default_context(cafile=self.ca)
        self.opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
        self.start()
        if self.real:
            self.ask("POST", "/api/v2/setup", {"username": "admin", "password": "setup-12345", "org": "ons", "bucket": BUCKET,
                                               "token": OPERATOR}, token=None)
        else:
            self.ask("POST", "/api/v2/orgs", {"name": "ons"})
        self.org = self.ask("GET", "/api/v2/orgs?org=ons")["orgs"][0]["id"]
        self.admin = next(u["id"] for u in self.ask("GET", "/api/v2/users")["users"] if u["name"] == "admin")

    def start(self):
        data = os.path.join(self.directory, "data")
        os.makedirs(data, mode=0o700, exist_ok=True)
        if self.real:
            argv = [self.real, "--http-bind-address", f"127.0.0.1:{self.port}", "--tls-cert", self.ca, "--tls-key", self.key, "--bolt-path",
                    data + "/bolt", "--engine-path", data + "/engine", "--sqlite-path", data + "/sqlite", "--reporting-disabled"]
        else:
            argv = [lib.RELEASE, "serve", "--data", data, "--listen", f"127.0.0.1:{self.port}", "--tls-cert", self.ca, "--tls-key", self.key]
            with open(os.path.join(data, "operator-token"), "w") as f:
                f.write(OPERATOR)
            os.chmod(f.name, 0o600)
        self.process = subprocess.Popen(argv, cwd=self.directory, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(600):
            try:
                return self.opener.open(self.url + "/health", timeout=5).read()
            except OSError:
                if self.process.poll() is not None:
                    break
                time.sleep(0.05)
        raise RuntimeError("the instance did not start")

    def stop(self):
        self.process.kill()
        self.process.wait()

    def close(self):
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def ask(self, method, path, body=None, token=OPERATOR, **headers):
        """The answer's JSON. Raises urllib's HTTPError."""
        if token:
            headers["Authorization"] = f"Token {token}"
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json", **headers}, method=method)
        with self.opener.open(request, timeout=30) as answer:
            text = answer.read()
        return json.loads(text) if text.strip() else None

    # --- what is in it ------------------------------------------------------------------------------------------------------------

    def tokens(self, prefix="afluxo "):
        found = self.ask("GET", f"/api/v2/authorizations?orgID={self.org}")["authorizations"] or []
        return [t for t in found if t["description"].startswith(prefix)]

    def buckets(self):
        return {b["name"]: b for b in self.ask("GET", f"/api/v2/buckets?orgID={self.org}&limit=100")["buckets"] if b["name"][0] != "_"}

    def set_password(self, password):
        self.ask("POST", f"/api/v2/users/{self.admin}/password", {"password": password})

    def begin(self, password):
        self.set_password(password)
        for token in self.tokens():
            self.ask("DELETE", f"/api/v2/authorizations/{token['id']}")
        for name, bucket in self.buckets().items():
            if name != BUCKET:
                self.ask("DELETE", f"/api/v2/buckets/{bucket['id']}")
        if BUCKET not in self.buckets():
            self.ask("POST", "/api/v2/buckets", {"orgID": self.org, "name": BUCKET, "retentionRules": []})

    def opens(self, password):
        basic = base64.b64encode(f"admin:{password}".encode()).decode()
        try:
            self.ask("POST", "/api/v2/signin", token=None, Authorization=f"Basic {basic}")
            return True
        except urllib.error.HTTPError as e:
            e.close()
            if e.code != 401:
                raise
            return False

    def status(self, method, path, token, body=None):
        """Of one request with a token: 200, 401 ..."""
        try:
            self.ask(method, path, body, token=token)
            return 200
        except urllib.error.HTTPError as e:
            e.close()
            return e.code

    def writes(self, token, bucket):
        request = urllib.request.Request(f"{self.url}/api/v2/write?org=ons&bucket={bucket}", b"m,a=b c=1", {"Authorization": f"Token {token}"})
        try:
            return self.opener.open(request, timeout=30).status
        except urllib.error.HTTPError as e:
            e.close()
            return e.code
