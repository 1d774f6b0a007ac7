"""A server whose disk is full: writes are refused at once and the reason is told, reading and asking go on, it heals without a restart,
and what was acknowledged is there afterwards, also when it was killed meanwhile. The disk is a tmpfs; where none can be mounted the
tests fail."""
import json
import os
import random
import subprocess
import threading
import time

import lib

DISK_MB = 16
REFUSED_WITHIN_S = 4  # less than the 10 s that a writer waits for a cache that is being emptied; the machine may be busy


class FullDisk(lib.Case):
    def setUp(self):
        super().setUp()
        self.disk = self.path("disk")
        os.mkdir(self.disk)
        mount = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", self.disk], capture_output=True)
        self.assertEqual(mount.returncode, 0, f"this test needs to mount a tmpfs: {mount.stderr.decode()}")
        self.addCleanup(subprocess.run, ["umount", "-l", self.disk], check=True)
        self.acknowledged = {}  # bucket -> times
        self.next_time = 1
        self.bad_answers = []

    def serve(self, *args):
        server = lib.Server(self.disk, *args)
        self.addCleanup(server.close)
        return server

    # --- disk ---

    def fill(self, leave=0):
        """Every byte but `leave`, by a file that is not ours."""
        with open(os.path.join(self.disk, "filler"), "ab", buffering=0) as f:
            for step in (1 << 20, 4096, 1):
                try:
                    while True:
                        f.write(bytes(step))
                except OSError:
                    pass
            if leave > 0:
                f.truncate(max(0, f.tell() - leave))

    def make_room(self):
        os.remove(os.path.join(self.disk, "filler"))

    # --- requests ---

    def put(self, server, bucket="default", lines=200, width=1):
        """One batch; the status. What was acknowledged is remembered."""
        times = range(self.next_time, self.next_time + lines)
        self.next_time += lines
        text = "".join(random.choices("0123456789abcdef", k=width))  # nothing that packs well
        body = "".join(f'm,s={t % 5} v={t}i,t="{t}x{text}" {t}000000000\n' for t in times)
        began = time.time()
        status, answer, headers = server.request("POST", f"/api/v2/write?org=afluxo&bucket={bucket}", body)
        if status == 204:
            self.acknowledged.setdefault(bucket, set()).update(times)
        else:
            self.assertEqual(status, 503, answer)
            self.assertLess(time.time() - began, REFUSED_WITHIN_S, answer)
            self.assertIn("Retry-After", headers)
            self.assertIn("no space left", json.loads(answer)["message"].lower())
        return status

    def make_bucket(self, server, name):
        org = json.loads(server.request("GET", "/api/v2/orgs")[1])["orgs"][0]["id"]
        status, body, _ = server.request("POST", "/api/v2/buckets", {"orgID": org, "name": name, "retentionRules": []})
        self.assertEqual(status, 201, body)
        return json.loads(body)["id"]

    def delete(self, server, bucket):
        status, answer, _ = server.request("DELETE", "/api/v2/buckets/" + bucket)
        self.assertEqual(status, 204, answer)

    def put_until_full(self, server, **kw):
        for _ in range(20000):
            if self.put(server, **kw) == 503:
                return
        self.fail("the disk never filled up")

    def metric(self, server, name):
        status, body, _ = server.request("GET", "/metrics")
        self.assertEqual(status, 200)
        return [float(l.split()[1]) for l in body.decode().splitlines() if l.startswith(name + " ")][0]

    def use_last_page(self, server):
        """A probe is a few bytes and fits where no write fits, and a flush or a compaction may give room back. Until that is over."""
        for _ in range(30):
            self.fill()
            for _ in range(40):
                self.put(server, lines=1)
            time.sleep(1.1)  # how long an answer of /ready is good for
            if all(server.request("GET", path, auth=False)[0] == 503 for path in ("/ready", "/health", "/ready")):
                return

    def expect_full(self, server):
        for path in ("/health", "/ready"):
            status, body, _ = server.request("GET", path, auth=False)
            self.assertEqual(status, 503, (path, body))
            self.assertIn("disk is full", json.loads(body)["message"].lower(), path)
        self.assertEqual(self.metric(server, "afluxo_engine_full"), 1)
        self.assertEqual(self.metric(server, "afluxo_engine_read_only"), 0)
        for path in ("/api/v2/buckets", "/query?q=SHOW+DATABASES", "/api/v2/orgs", "/debug/vars"):
            status, body, _ = server.request("GET", path)
            self.assertEqual(status, 200, (path, body))
        self.assertEqual(server.request("GET", "/ping", auth=False)[0], 204)
        for _ in range(5):
            self.assertEqual(self.put(server), 503)

    def expect_healed(self, server):
        """Within the pause between two tries (a try every 30 s at most), without a restart."""
        end = time.time() + 45
        while time.time() < end:
            if self.put(server) == 204 and all(server.request("GET", p, auth=False)[0] == 200 for p in ("/health", "/ready")):
                self.assertEqual(self.metric(server, "afluxo_engine_full"), 0)
                return
            time.sleep(0.2)
        self.fail("there is room, and it still refuses: " + server.request("GET", "/health", auth=False)[1].decode())

    def expect_all(self, bucket="default"):
        """Every acknowledged point, by the command over the directory; each with both its values."""
        result = self.afluxo(lib.DONE, "export", "--from", self.disk, "--bucket", bucket, "--org", "afluxo", "--quiet")
        found = set()
        for line in result.out.splitlines():
            stamp = int(line.rsplit(" ", 1)[1]) // 1000000000
            self.assertIn(f"v={stamp}i", line)
            self.assertIn(f't="{stamp}x', line)
            found.add(stamp)
        missing = self.acknowledged.get(bucket, set()) - found
        self.assertFalse(missing, f"{len(missing)} of {len(self.acknowledged[bucket])} acknowledged points are lost")

    # --- tests ---

    def test_log_meets_the_end_of_the_disk(self):
        server = self.serve()
        self.assertEqual(self.put(server), 204)
        self.fill(leave=100000)
        self.put_until_full(server)
        self.fill()
        self.use_last_page(server)
        self.expect_full(server)
        self.make_room()
        self.expect_healed(server)
        self.assertEqual(server.stop(), 0)
        self.expect_all()

    def test_ready_is_not_fooled_by_a_few_free_bytes(self):
        """In the last page of the log there is room for a probe, and for nothing that anybody wants to write."""
        server = self.serve()
        self.fill(leave=100000)
        self.put_until_full(server)
        self.fill()
        self.assertEqual(self.put(server), 503)
        status, body, _ = server.request("GET", "/ready", auth=False)
        self.assertEqual(status, 503, body)
        self.assertEqual(server.request("GET", "/health", auth=False)[0], 503)

    def test_flush_meets_the_end_of_the_disk(self):
        server = self.serve("--memory", "2M")
        self.fill(leave=6 << 20)
        self.put_until_full(server, lines=500, width=200)
        self.fill()
        self.use_last_page(server)
        self.expect_full(server)
        self.make_room()
        self.expect_healed(server)
        for _ in range(20):
            self.assertEqual(self.put(server, lines=500), 204)
        self.assertEqual(server.stop(), 0)
        self.expect_all()
        check = self.afluxo(lib.DONE, "tsm", "verify", self.disk, "--json")
        self.assertEqual(json.loads(check.out.strip().splitlines()[-1])["faults"], 0)

    def test_killed_while_full_and_started_while_full(self):
        server = self.serve()
        self.assertEqual(self.put(server), 204)
        self.fill(leave=200000)
        self.put_until_full(server, width=50)
        self.fill()
        self.use_last_page(server)
        self.expect_full(server)
        for _ in range(3):
            server.kill()
            self.fill()
            server.start()
            self.assertEqual(self.put(server), 503)
            self.use_last_page(server)
            self.expect_full(server)
        self.make_room()
        self.expect_healed(server)
        self.fill()
        server.kill()
        self.expect_all()  # reading needs no room
        self.make_room()
        self.expect_all()

    def test_dropping_a_bucket_on_a_full_disk_makes_room(self):
        """Nobody but us is on the disk: what an administrator can do is to delete."""
        server = self.serve("--memory", "2M")
        big = self.make_bucket(server, "big")
        self.assertEqual(self.put(server), 204)
        self.put_until_full(server, bucket="big", lines=500, width=400)
        self.delete(server, big)
        self.expect_healed(server)
        self.assertEqual(server.stop(), 0)
        self.expect_all()

    def test_dropping_a_bucket_that_is_only_in_the_log_makes_room(self):
        """No file of it gives room, somebody else takes each free byte, writers go on trying, and what is there is in the log."""
        server = self.serve()
        big = self.make_bucket(server, "big")
        self.assertEqual(self.put(server), 204)
        self.put_until_full(server, bucket="big", lines=500, width=400)
        self.fill()
        stop = threading.Event()
        def go_on():
            while not stop.is_set():
                server.request("POST", "/api/v2/write?org=afluxo&bucket=big", "m v=1i,t=\"" + "x" * 5000 + "\" 1\n")
        writers = [threading.Thread(target=go_on) for _ in range(2)]
        for writer in writers:
            writer.start()
        self.delete(server, big)
        stop.set()
        for writer in writers:
            writer.join()
        self.expect_healed(server)
        server.kill()
        self.expect_all()

    def test_dropping_every_bucket_but_one_while_nothing_is_free(self):
        """Whatever is free is taken again between two drops; also by a server that was stopped, or killed, and started on that disk."""
        server = self.serve("--memory", "2M")
        buckets = [self.make_bucket(server, f"b{i}") for i in range(12)]
        self.assertEqual(self.put(server), 204)
        for i in range(12):
            self.assertEqual(self.put(server, bucket=f"b{i}", lines=300, width=100), 204)
        self.put_until_full(server, bucket="b0", lines=500, width=400)
        for i, bucket in enumerate(buckets):
            self.fill()
            self.delete(server, bucket)
            self.fill()
            if i == 4:
                self.assertEqual(server.stop(), 0)
                self.fill()
                server.start()
            if i == 8:
                server.kill()
                self.fill()
                server.start()
        names = [b["name"] for b in json.loads(server.request("GET", "/api/v2/buckets")[1])["buckets"]]
        self.assertFalse([n for n in names if n.startswith("b")], names)
        self.make_room()
        self.expect_healed(server)
        self.assertEqual(server.stop(), 0)
        self.expect_all()


if __name__ == "__main__":
    lib.unittest.main()
