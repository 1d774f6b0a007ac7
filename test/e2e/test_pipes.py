"""Pipes in and out: standard input, FIFOs, readers that go away, interruption while waiting."""
import os
import signal
import subprocess
import threading
import time

import lib
from lib import DONE, FAILED, INTERRUPTED, REJECTED, Case

CSV = "when;plant;value\n" + "".join(f"2024-01-01 {i // 60:02d}:{i % 60:02d}:00;p{i % 3};{i},5\n" for i in range(1000))
MAPPING = "measurement: c\ntime: when\ntags:\n  plant: plant\nfields:\n  value: {column: value, decimal: comma}\n"
LINES = "".join(f"m,s={i % 10} v={i} {i}\n" for i in range(500)).encode()


def setUpModule():
    global server
    server = lib.Influxd()


def tearDownModule():
    server.close()


class In(Case):
    def setUp(self):
        super().setUp()
        self.db = "db_" + self.id().rsplit(".", 1)[1]

    def target(self):
        return ["--to", server.url, "--bucket", self.db, "--create", "--state", self.path("state")]

    def read(self, path):
        with open(path, "rb") as f:
            return f.read()

    def fifo(self, name, text):
        path = self.path(name)
        os.mkfifo(path)

        def write():
            with open(path, "wb") as f:
                f.write(text.encode() if isinstance(text, str) else text)

        threading.Thread(target=write, daemon=True).start()
        return path

    def test_standard_input_is_verified_for_what_it_said(self):
        r = self.afluxo(DONE, "migrate", "-", *self.target(), "--verify", "--json", stdin=LINES)
        self.assertEqual(r.json["verified"]["points"], 500)
        r = self.afluxo(DONE, "verify", "-", "--to", server.url, "--bucket", self.db, "--json", stdin=LINES)
        self.assertEqual(r.json["points"], 500)
        changed = LINES.replace(b"v=17 ", b"v=18 ")
        r = self.afluxo(lib.DIFFERENT, "verify", "-", "--to", server.url, "--bucket", self.db, "--json", stdin=changed)
        self.assertEqual(r.json["differing"], 1)

    def test_a_table_on_standard_input(self):
        mapping = self.write("m.yaml", MAPPING)
        r = self.afluxo(DONE, "convert", "-", "--mapping", mapping, stdin=CSV.encode())
        self.assertEqual(len(r.out.splitlines()), 1000)
        out = self.path("d")
        self.afluxo(DONE, "generate", "ons", "--out", out, "--to", "2023-01-03", "--plants", "5")
        name = next(os.path.join(d, f) for d, _, fs in os.walk(out) for f in fs if "dataset=generation" in d)
        want = self.afluxo(DONE, "convert", name, "--dataset", "generation").out
        self.assertEqual(self.afluxo(DONE, "convert", "-", "--dataset", "generation", stdin=self.read(name)).out, want)

    def test_fifos(self):
        mapping = self.write("m.yaml", MAPPING)
        r = self.afluxo(DONE, "migrate", self.fifo("t.csv", CSV), "--mapping", mapping, *self.target(), "--verify", "--json")
        self.assertEqual(r.json["verified"]["points"], 1000)
        self.afluxo(DONE, "migrate", self.fifo("u", CSV), "--mapping", mapping, *self.target(), "--verify")
        r = self.afluxo(DONE, "write", self.fifo("l.lp", LINES), *self.target(), "--json")
        self.assertEqual(r.json["points_written"], 500)

    def test_a_typed_line_goes_out_and_ctrl_c_ends_the_wait(self):
        p = subprocess.Popen([lib.BINARY, "write", "-", *self.target()], stdin=subprocess.PIPE, stderr=subprocess.PIPE,
                             env=lib.environment())
        p.stdin.write(b"m v=1 1\n")
        p.stdin.flush()
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and server.count("m", "v", self.db) != 1:
            time.sleep(0.1)
        self.assertEqual(server.count("m", "v", self.db), 1)
        p.send_signal(signal.SIGINT)
        self.assertEqual(p.wait(timeout=10), INTERRUPTED, p.stderr.read())
        p.stdin.close()
        p.stderr.close()

    def test_a_source_that_cannot_be_read_is_not_silently_equal(self):
        empty = self.write("empty.csv", "")
        self.afluxo(DONE, "write", "-", *self.target(), stdin=LINES)
        r = self.afluxo(FAILED, "verify", empty, "--to", server.url, "--bucket", self.db, "--json")
        self.assertIn("empty.csv", r.err)
        self.assertEqual(r.json["files_bad"], 1)
        lines = self.write("l.lp", LINES)
        r = self.afluxo(REJECTED, "verify", empty, lines, "--to", server.url, "--bucket", self.db, "--json")
        self.assertIn("could not be read", r.err)

    def test_a_row_group_that_cannot_be_read_is_counted(self):
        out = self.path("d")
        self.afluxo(DONE, "generate", "ons", "--out", out, "--to", "2023-02-01", "--plants", "40")
        name = next(os.path.join(d, f) for d, _, fs in os.walk(out) for f in fs if "dataset=generation" in d)
        data = bytearray(self.read(name))
        data[200:260] = b"\xff" * 60
        with open(name, "wb") as f:
            f.write(data)
        r = self.afluxo(REJECTED, "convert", name, "-o", self.path("o.lp"))
        self.assertIn("could not be read", r.err)
        r = self.afluxo(REJECTED, "migrate", name, *self.target(), "--verify", "--json")
        self.assertEqual(r.json["verified"]["row_groups_lost"], 1)


class Out(Case):
    def quiet_end(self, *args):
        p = subprocess.Popen([lib.BINARY, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=lib.environment())
        self.assertTrue(p.stdout.read(10))
        p.stdout.close()
        err = p.stderr.read().decode()
        p.stderr.close()
        self.assertEqual(p.wait(timeout=60), -signal.SIGPIPE, err)
        self.assertEqual(err, "")

    def test_head_ends_it_like_other_tools(self):
        path = self.write("many.lp", b"".join(b"m,s=%d v=%d %d\n" % (i % 10, i, i) for i in range(200000)))
        self.quiet_end("convert", path)
        self.quiet_end("inspect", "sample", path, "--rows", "0")

    def test_a_full_disk_is_told(self):
        path = self.write("x.lp", "m v=1 1\n")
        for args in (["convert", path], ["inspect", "sample", path], ["man"], ["migrate", "--list-datasets"]):
            with open("/dev/full", "wb") as full:
                p = subprocess.run([lib.BINARY, *args], stdout=full, stderr=subprocess.PIPE, env=lib.environment())
            self.assertEqual(p.returncode, FAILED, (args, p.stderr))
            self.assertIn(b"standard output", p.stderr)

    def test_config_with_an_equals_sign(self):
        path = self.write("x.lp", "m v=1 1\nm v=2 2\n")
        config = self.write("c.yaml", "rows: 1\n")
        self.assertEqual(len(self.afluxo(DONE, "inspect", "sample", path, f"--config={config}").out.splitlines()), 1)
