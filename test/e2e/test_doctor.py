"""`afluxo doctor` against what it is for: a healthy set-up, and one thing wrong at a time. Nothing it looks at may change by it."""
import fcntl
import hashlib
import http.server
import json
import os
import socket
import ssl
import subprocess
import threading
import time

import lib

STATES = ("ok", "warning", "failed", "not_checked")


class Quiet(http.server.BaseHTTPRequestHandler):
    """What says that it is an InfluxDB of some version, or whatever `answer` has."""
    answer = (204, {"X-Influxdb-Version": "1.8.10"}, b"")

    def do_GET(self):
        status, headers, body = self.answer
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def snapshot(root):
    """Names, sizes, times and bytes of all below."""
    seen = {}
    for base, dirs, files in os.walk(root):
        for name in dirs + files:
            path = os.path.join(base, name)
            stat = os.lstat(path)
            digest = hashlib.sha256(open(path, "rb").read()).hexdigest() if os.path.isfile(path) else ""
            seen[path] = (stat.st_mtime_ns, stat.st_mode, stat.st_size if digest else 0, digest)
    return seen


class DoctorCase(lib.Case):
    def setUp(self):
        super().setUp()
        self.home = self.path("home")
        self.state = os.path.join(self.home, "afluxo")

    def doctor(self, status, *args, **env):
        """The findings by name; and that the exit status, the numbers and the findings agree."""
        env = lib.environment(XDG_STATE_HOME=self.home, http_proxy="", https_proxy="", HTTPS_PROXY="", **env)
        result = lib.run("doctor", "--json", *args, timeout=60, env=env)
        self.expect(result, status)
        report = json.loads(result.out)
        by_name = {check["name"]: check for check in report["checks"]}
        self.assertEqual(len(by_name), len(report["checks"]), "names are unique")
        for state in STATES:
            self.assertEqual(report[state], sum(check["state"] == state for check in report["checks"]))
        self.assertEqual(report["healthy"], report["failed"] == 0)
        self.assertEqual(status, lib.DONE if report["healthy"] else lib.FAILED)
        for check in report["checks"]:
            self.assertTrue(check["seen"], check)
            if check["state"] == "failed" and check["group"] != "AWS":
                self.assertNotIn("\n", check["seen"])
        return by_name

    def states(self, found, **wanted):
        for name, state in wanted.items():
            check = found[name.replace("_", " ")]
            self.assertEqual(check["state"], state, check)

    def says(self, found, name, *words):
        text = found[name]["seen"] + " " + (found[name]["advice"] or "")
        for word in words:
            self.assertIn(word, text)


class Machine(DoctorCase):
    def test_nothing_but_this_machine(self):
        found = self.doctor(lib.DONE)
        self.assertEqual({check["group"] for check in found.values()}, {"this machine"})
        self.states(found, version="ok", spools="ok", dead_letters="ok")

    def test_what_people_read(self):
        env = lib.environment(XDG_STATE_HOME=self.home)
        result = lib.run("doctor", "--from", f"http://127.0.0.1:{lib.free_port()}", env=env)
        self.expect(result, lib.FAILED)
        self.assertIn("this machine\n", result.out)
        self.assertRegex(result.out, r"  failed +connection +\S+")
        self.assertRegex(result.out, r"  not checked +token +it needs \"InfluxDB\"")
        self.assertRegex(result.out, r"\n\d+ ok, \d+ warnings?, 1 failed, \d+ not checked\n$")
        self.assertNotIn("\x1b", result.out)
        quiet = lib.run("doctor", "-q", "--from", f"http://127.0.0.1:{lib.free_port()}", env=env)
        self.assertNotIn("  ok ", quiet.out)
        self.assertIn("failed", quiet.out)

    def test_wrong_usage(self):
        for args in (["--from", "http://x", "--to", "http://y"], ["word"], ["--instance", "x"], ["--queue", "q"],
                     ["--from", "s3://bucket/x"]):
            self.afluxo(lib.USAGE, "doctor", *args)

    def test_what_earlier_runs_left(self):
        one = os.path.join(self.state, "0123456789abcdef")
        for name, content in {"target": "http://db:8086/energy\n", "journal": "x", "spool/00-00000000000000000001.blk": "lines",
                              "dead-letters/dead-letters-1.jsonl": "{}\n", "dead-letters/dead-letters-0.jsonl.retried": "{}\n"}.items():
            self.write(os.path.join("home", "afluxo", "0123456789abcdef", name), content)
        before = snapshot(self.state)
        found = self.doctor(lib.DONE)
        self.states(found, spools="warning", dead_letters="warning")
        self.says(found, "spools", "1 block ", "http://db:8086/energy", one, "--resume")
        self.says(found, "dead letters", "1 file ", "--retry-dead-letters")
        self.assertEqual(snapshot(self.state), before)
        # --state names the directory of one target.
        self.states(self.doctor(lib.DONE, "--state", one), spools="warning", dead_letters="warning")
        # A run that is at work has it in hand.
        lock = open(self.write("home/afluxo/0123456789abcdef/lock", "1\n"))
        fcntl.flock(lock, fcntl.LOCK_EX)
        self.states(self.doctor(lib.DONE), spools="ok", dead_letters="ok")
        lock.close()
        self.write("home/afluxo/0123456789abcdef/spool/00-00000000000000000002.blk.corrupt", "")
        found = self.doctor(lib.FAILED)
        self.says(found, "spools", "1 broken block")

    def test_a_full_disk(self):
        os.makedirs(self.home)
        mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,nr_inodes=1000", "tmpfs", self.home], capture_output=True)
        self.assertEqual(mount.returncode, 0, f"this test needs to mount a tmpfs: {mount.stderr.decode()}")
        self.addCleanup(subprocess.run, ["umount", "-l", self.home], check=True)
        found = self.doctor(lib.FAILED)
        self.says(found, "state space", self.home, "make room")
        self.states(found, state_space="failed", temporary_space=found["temporary space"]["state"])

    def test_certificates_that_are_not_there(self):
        found = self.doctor(lib.FAILED, SSL_CERT_FILE="/nonexistent.pem")
        self.states(found, certificates="failed")
        self.states(self.doctor(lib.FAILED, "--ca-file", "/nonexistent.pem"), certificates="failed")
        self.states(self.doctor(lib.DONE, "--insecure"), certificates="warning")


class Connection(DoctorCase):
    def serve(self, answer=None, cert=None, key=None):
        handler = type("Handler", (Quiet,), {"answer": answer or Quiet.answer})
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        server.daemon_threads = True
        if cert:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(cert, key)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return server.server_address[1]

    def openssl(self, *args):
        subprocess.run(["openssl", *args], cwd=self.dir, check=True, capture_output=True)

    def certificate(self, name, names, days):
        """Signed by ca.pem; made here, too."""
        curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        if not os.path.exists(self.path("ca.pem")):
            self.openssl("req", "-x509", *curve, "-keyout", "ca.key", "-out", "ca.pem", "-days", "400", "-subj", "/CN=the-test-ca")
        self.openssl("req", *curve, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", "/CN=leaf")
        self.write(f"{name}.ext", f"subjectAltName={names}")
        self.openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", str(days),
                     "-extfile", f"{name}.ext", "-out", f"{name}.pem")
        return self.path(f"{name}.pem"), self.path(f"{name}.key")

    def look(self, status, url, *args, **env):
        return self.doctor(status, "--from", url, "--timeout", "1s", *args, **env)

    def test_a_port_where_nobody_is(self):
        found = self.look(lib.FAILED, f"http://127.0.0.1:{lib.free_port()}")
        self.states(found, name="ok", connection="failed", TLS="not_checked", InfluxDB="not_checked", bucket="not_checked")

    def test_a_name_that_nobody_knows(self):
        found = self.look(lib.FAILED, "http://no-such-host.invalid:8086")
        self.states(found, name="failed", connection="not_checked")
        self.says(found, "name", "no-such-host.invalid")

    def test_a_server_that_never_answers(self):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            begun = time.monotonic()
            found = self.look(lib.FAILED, f"http://127.0.0.1:{silent.getsockname()[1]}")
            self.assertLess(time.monotonic() - begun, 10)
            self.states(found, connection="ok", InfluxDB="failed", token="not_checked")
            begun = time.monotonic()
            found = self.look(lib.FAILED, f"https://127.0.0.1:{silent.getsockname()[1]}")
            self.assertLess(time.monotonic() - begun, 10)
            self.states(found, connection="ok", TLS="failed", InfluxDB="not_checked")

    def test_who_is_no_influxdb_and_who_is_too_new(self):
        found = self.look(lib.FAILED, f"http://127.0.0.1:{self.serve((200, {}, b'hello'))}")
        self.says(found, "InfluxDB", "does not say that it is an InfluxDB")
        found = self.look(lib.FAILED, f"http://127.0.0.1:{self.serve((200, {'X-Influxdb-Version': '3.1.0'}, b'{}'))}")
        self.says(found, "InfluxDB", "3.1.0", "2.x")
        self.states(found, token="not_checked")
        found = self.look(lib.FAILED, f"http://127.0.0.1:{self.serve((503, {}, b''))}")
        self.says(found, "InfluxDB", "503")

    def test_certificates(self):
        cert, key = self.certificate("ok", "IP:127.0.0.1", 100)
        found = self.look(lib.FAILED, f"https://127.0.0.1:{self.serve(None, cert, key)}", "--ca-file", self.path("ca.pem"))
        self.states(found, TLS="ok", InfluxDB="ok", token="failed")  # what answers knows no query
        self.says(found, "TLS", "days left", "127.0.0.1", "the-test-ca")
        found = self.look(lib.FAILED, f"https://127.0.0.1:{self.serve(None, cert, key)}")
        self.states(found, connection="ok", TLS="failed", InfluxDB="not_checked")
        self.says(found, "TLS", "CA", "the-test-ca", "--ca-file")
        found = self.look(lib.FAILED, f"https://127.0.0.1:{self.serve(None, cert, key)}", "--insecure")
        self.states(found, TLS="warning", InfluxDB="ok")

    def test_a_certificate_that_ended_ends_soon_or_is_another_ones(self):
        cert, key = self.certificate("old", "IP:127.0.0.1", -1)
        found = self.look(lib.FAILED, f"https://127.0.0.1:{self.serve(None, cert, key)}", "--ca-file", self.path("ca.pem"))
        self.states(found, TLS="failed")
        self.says(found, "TLS", "expired", "until 20", "renew")
        cert, key = self.certificate("soon", "IP:127.0.0.1", 5)
        found = self.look(lib.FAILED, f"https://127.0.0.1:{self.serve(None, cert, key)}", "--ca-file", self.path("ca.pem"))
        self.states(found, TLS="warning")
        self.says(found, "TLS", "4 days left")
        cert, key = self.certificate("other", "DNS:db.example", 100)
        found = self.look(lib.FAILED, f"https://127.0.0.1:{self.serve(None, cert, key)}", "--ca-file", self.path("ca.pem"))
        self.states(found, TLS="failed")
        self.says(found, "TLS", "another name", "db.example")

    def test_https_where_there_is_none(self):
        found = self.look(lib.FAILED, f"https://127.0.0.1:{self.serve()}")
        self.states(found, connection="ok", TLS="failed")

    def test_a_clock_that_is_off(self):
        class Late(Quiet):
            def date_time_string(self, timestamp=None):
                return super().date_time_string(time.time() - self.behind)

        for behind, state in ((0, "ok"), (60, "warning"), (3600, "failed")):
            server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Late,), {"behind": behind}))
            threading.Thread(target=server.serve_forever, daemon=True).start()
            found = self.look(lib.FAILED, f"http://127.0.0.1:{server.server_address[1]}")
            self.states(found, clock=state)
            server.shutdown()
            server.server_close()

    def test_a_redirect_gets_no_token(self):
        asked = []

        class Other(Quiet):
            def do_GET(self):
                asked.append(self.headers.get("Authorization"))
                super().do_GET()

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Other)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        port = self.serve((302, {"Location": f"http://127.0.0.1:{server.server_address[1]}/"}, b""))
        found = self.look(lib.FAILED, f"http://127.0.0.1:{port}", INFLUX_TOKEN="secret-token")
        self.states(found, InfluxDB="failed")
        self.assertEqual(asked, [])


class OldServer(DoctorCase):
    """influxd 1.x."""

    @classmethod
    def setUpClass(cls):
        cls.influxd = lib.Influxd()
        cls.influxd.query('CREATE DATABASE "energy"')
        cls.influxd.query('CREATE RETENTION POLICY "month" ON "energy" DURATION 30d REPLICATION 1')

    @classmethod
    def tearDownClass(cls):
        cls.influxd.close()

    def test_healthy(self):
        found = self.doctor(lib.DONE, "--to", self.influxd.url, "--bucket", "energy", "--write-test")
        self.states(found, InfluxDB="ok", token="ok", bucket="ok", retention="ok", reading="ok", writing="ok", series="ok", write_test="ok")
        self.assertNotIn("organisation", found)
        self.says(found, "InfluxDB", "1.")
        self.assertEqual(self.influxd.values("SHOW MEASUREMENTS", "energy"), [])

    def test_a_policy_that_forgets_and_a_database_that_is_not_there(self):
        found = self.doctor(lib.DONE, "--to", self.influxd.url, "--bucket", "energy/month")
        self.states(found, bucket="ok", retention="warning")
        self.says(found, "retention", "30 days")
        found = self.doctor(lib.FAILED, "--to", self.influxd.url, "--bucket", "nowhere")
        self.states(found, bucket="failed", writing="not_checked")
        self.assertEqual([row[0] for row in self.influxd.values("SHOW DATABASES", "")], ["energy"])

    def test_a_password_is_wanted(self):
        guarded = lib.Influxd(http_extra="  auth-enabled = true\n")
        self.addCleanup(guarded.close)
        guarded.query("CREATE USER root WITH PASSWORD 'pw' WITH ALL PRIVILEGES")
        found = self.doctor(lib.FAILED, "--to", guarded.url, "--bucket", "energy")
        self.states(found, token="failed", bucket="not_checked")
        self.says(found, "token", "--user")
        found = self.doctor(lib.FAILED, "--to", guarded.url, "--bucket", "energy", "--user", "root", INFLUX_PASSWORD="wrong")
        self.states(found, token="failed")
        found = self.doctor(lib.FAILED, "--to", guarded.url, "--bucket", "energy", "--user", "root", INFLUX_PASSWORD="pw")
        self.states(found, token="ok", bucket="failed")


class OurServer(DoctorCase):
    @classmethod
    def setUpClass(cls):
        cls.server = lib.Server()

    @classmethod
    def tearDownClass(cls):
        cls.server.close()

    def token(self, *args):
        result = self.afluxo(lib.DONE, "token", "create", "--to", self.server.data, "--json", *args)
        return result.json["token"]

    def test_by_its_url(self):
        token = self.token("--read-bucket", "default", "--write-bucket", "default")
        found = self.doctor(lib.DONE, "--from", self.server.url, "--bucket", "default", INFLUX_TOKEN=token)
        self.states(found, token="ok", organisation=found["organisation"]["state"], bucket="ok", reading="ok", writing="ok")
        self.says(found, "InfluxDB", "afluxo")
        for check in found.values():
            self.assertNotIn(token, json.dumps(check))
        found = self.doctor(lib.DONE, "--from", self.server.url, "--bucket", "default", INFLUX_TOKEN=self.server.token)
        self.states(found, token="warning")
        self.says(found, "token", "operator")

    def test_rights_that_are_missing(self):
        reader = self.token("--read-bucket", "default")
        found = self.doctor(lib.FAILED, "--to", self.server.url, "--bucket", "default", INFLUX_TOKEN=reader)
        self.states(found, token="ok", reading="ok", writing="failed")
        found = self.doctor(lib.DONE, "--from", self.server.url, "--bucket", "default", INFLUX_TOKEN=reader)
        self.states(found, token="ok", reading="ok", writing="warning")
        writer = self.token("--write-bucket", "default")
        found = self.doctor(lib.FAILED, "--from", self.server.url, "--bucket", "default", INFLUX_TOKEN=writer)
        self.states(found, token="ok", reading="failed", writing="ok", series="not_checked")
        found = self.doctor(lib.DONE, "--to", self.server.url, "--bucket", "default", INFLUX_TOKEN=writer)
        self.states(found, token="ok", reading="warning", writing="ok")
        found = self.doctor(lib.FAILED, "--from", self.server.url, "--bucket", "default", INFLUX_TOKEN="wrong")
        self.states(found, token="failed", bucket="not_checked")
        found = self.doctor(lib.FAILED, "--from", self.server.url, "--bucket", "nowhere", INFLUX_TOKEN=self.server.token)
        self.states(found, bucket="failed")
        found = self.doctor(lib.FAILED, "--from", self.server.url, "--org", "nowhere", INFLUX_TOKEN=self.server.token)
        self.states(found, organisation="failed", bucket="not_checked")

    def test_by_its_directory(self):
        found = self.doctor(lib.DONE, "--from", self.server.data, "--bucket", "default", "--write-test")
        self.states(found, directory="ok", owner="ok", catalogue="ok", log="ok", TSM_files="ok", token="ok", writing="ok", write_test="ok")
        self.says(found, "owner", self.server.url, str(self.server.process.pid))
        status, body, _ = self.server.request("GET", "/query?db=default&q=SHOW+MEASUREMENTS")
        self.assertEqual(status, 200)
        self.assertNotIn(b"afluxo_doctor", body)


class Directory(DoctorCase):
    def make(self):
        """A directory with points in TSM files, and nobody in it."""
        data = self.path("data")
        lines = self.write("lines.lp", "".join(f"m,s=a v={i} {i}000000000\n" for i in range(1, 2001)))
        self.afluxo(lib.DONE, "tsm", "build", lines, "-o", data, "--bucket", "b")
        return data

    def tsm(self, data):
        return next(os.path.join(base, name) for base, _, names in os.walk(data) for name in names if name.endswith(".tsm"))

    def test_healthy_and_left_alone(self):
        data = self.make()
        before = snapshot(data)
        found = self.doctor(lib.DONE, "--from", data)
        self.assertEqual({check["state"] for check in found.values() if check["group"] == "data directory"}, {"ok"})
        self.assertNotIn("connection", found)
        self.assertEqual(snapshot(data), before)

    def test_damage(self):
        data = self.make()
        path = self.tsm(data)
        with open(path, "r+b") as f:
            f.truncate(os.path.getsize(path) - 5)
        found = self.doctor(lib.FAILED, "--from", data)
        self.states(found, TSM_files="failed", catalogue="ok")
        self.says(found, "TSM files", path, "--repair")
        with open(os.path.join(data, "afluxo.sqlite"), "r+b") as f:
            f.write(b"no database")
        self.states(self.doctor(lib.FAILED, "--from", data), TSM_files="failed", catalogue="failed")

    def test_leftovers(self):
        data = self.make()
        for name in ("server.json.tmp-0123", self.tsm(data) + ".bad"):
            open(os.path.join(data, name), "w").close()
        found = self.doctor(lib.DONE, "--from", data)
        self.assertEqual(found["half-written files"]["state"], "warning")
        self.states(found, TSM_files="warning")

    def test_somebody_has_it(self):
        data = self.make()
        with open(os.path.join(data, "LOCK"), "r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            found = self.doctor(lib.DONE, "--from", data)
            self.states(found, owner="warning")
        # Its server was killed: it left server.json.
        self.write("data/server.json", json.dumps({"url": "http://127.0.0.1:1"}))
        found = self.doctor(lib.DONE, "--from", data)
        self.states(found, owner="warning")
        self.says(found, "owner", "killed")

    def test_what_is_no_directory_of_ours(self):
        os.makedirs(self.path("empty"))
        found = self.doctor(lib.FAILED, "--from", self.path("empty"))
        self.states(found, directory="failed", owner="not_checked")
        self.assertEqual(os.listdir(self.path("empty")), [])
        self.states(self.doctor(lib.FAILED, "--from", self.path("nowhere")), directory="failed")
        self.assertFalse(os.path.exists(self.path("nowhere")))
        for name in ("data", "meta", "wal"):
            os.makedirs(self.path("influx1", name))
        self.says(self.doctor(lib.FAILED, "--from", self.path("influx1")), "directory", "InfluxDB 1.x", "restore")
