"""A server that is killed again and again while several clients write: what was acknowledged is there afterwards, each time it is looked.

AFLUXO_TEST_KILLS says how often (1,000 unless given)."""
import http.client
import json
import os
import random
import threading
import time
import unittest

import lib

KILLS = int(os.environ.get("AFLUXO_TEST_KILLS", "1000"))
CLIENTS = 4
LOOK_EVERY = 100


class Client(threading.Thread):
    """Writes batches of points that nobody else writes; remembers which were acknowledged. Values name their point: value = time."""

    def __init__(self, number, port, token, seed):
        super().__init__(daemon=True)
        self.number = number
        self.port = port
        self.token = token
        self.random = random.Random(seed)
        self.next_time = 1
        self.acknowledged = []  # (first time, last time)
        self.stop = False
        self.errors = []

    def batch(self):
        count = self.random.choice((1, 1, 10, 100, 500))
        first = self.next_time
        self.next_time += count
        lines = "".join(f"m,c={self.number},s={t % 7} v={t}i,w={t}.5 {t * 1000000000}\n" for t in range(first, first + count))
        return first, first + count - 1, lines.encode()

    def run(self):
        connection = None
        pending = None
        while not self.stop:
            pending = pending or self.batch()
            try:
                connection = connection or http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
                connection.request("POST", "/api/v2/write?org=afluxo&bucket=default", pending[2], {"Authorization": "Token " + self.token})
                answer = connection.getresponse()
                body = answer.read()
                if answer.status == 204:
                    self.acknowledged.append(pending[:2])
                    pending = None
                elif answer.status != 503:
                    self.errors.append((answer.status, body))
                    return
            except (OSError, http.client.HTTPException):
                connection = None
                time.sleep(0.002)


class Kill(lib.Case):
    def read_back(self, data):
        """(client, time) of every point, each with both its values."""
        result = self.afluxo(lib.DONE, "export", "--from", data, "--bucket", "default", "--org", "afluxo", "--quiet", binary=lib.RELEASE)
        found = [set() for _ in range(CLIENTS)]
        for line in result.out.splitlines():
            key, fields, stamp = line.rsplit(" ", 2)
            client = int(key.split("c=")[1].split(",")[0])
            t = int(stamp) // 1000000000
            values = dict(f.split("=") for f in fields.split(","))
            self.assertEqual(values, {"v": f"{t}i", "w": f"{t}.5"}, line)
            found[client].add(t)
        return found

    def look(self, server, clients):
        found = self.read_back(server.data)
        for client in clients:
            self.assertEqual(client.errors, [])
            for first, last in list(client.acknowledged):
                missing = set(range(first, last + 1)) - found[client.number]
                self.assertFalse(missing, f"client {client.number}: {len(missing)} points of [{first}, {last}] were acknowledged and are lost")
        return sum(map(len, found))

    def test_acknowledged_points_survive_sigkill(self):
        rng = random.Random(20261124)
        server = lib.Server(self.path("data"), "--memory", "4M", binary=lib.RELEASE)
        clients = [Client(i, server.port, server.token, i) for i in range(CLIENTS)]
        for client in clients:
            client.start()
        points = 0
        for kill in range(1, KILLS + 1):
            time.sleep(rng.choice((0.01, 0.03, 0.08)) * rng.random() + 0.005)
            server.kill()
            if kill % LOOK_EVERY == 0:
                points = self.look(server, clients)
            server.start()
        for client in clients:
            client.stop = True
        for client in clients:
            client.join(30)
        self.assertEqual(server.stop(), 0)
        points = self.look(server, clients)
        acknowledged = sum(last - first + 1 for c in clients for first, last in c.acknowledged)
        self.assertGreater(acknowledged, KILLS)
        self.assertGreaterEqual(points, acknowledged)
        check = self.afluxo(lib.DONE, "tsm", "verify", server.data, "--json", binary=lib.RELEASE)
        self.assertEqual(json.loads(check.out.strip().splitlines()[-1])["faults"], 0)
        print(f"{KILLS} kills, {acknowledged} points acknowledged, {points} there")


if __name__ == "__main__":
    unittest.main()
