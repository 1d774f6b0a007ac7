"""Files that are damaged, cut short, of another shape or not to be read: a clear message, the documented exit status, and every good
row arrives. (Two thousand flipped bits, in one process and under sanitizers, are in src/ingest/damage_test.c.)"""
import concurrent.futures
import glob
import json
import os
import shutil

import lib
from lib import DONE, FAILED, REJECTED, Case

CSV = "id_subsistema;nom_subsistema;din_instante;val_cargaenergiahomwmed\n"


def setUpModule():
    global server
    server = lib.Influxd()


def tearDownModule():
    server.close()


class Damage(Case):
    def setUp(self):
        super().setUp()
        self.db = "db_" + self.id().rsplit(".", 1)[1]

    def generate(self, *args):
        made = self.afluxo(DONE, "generate", "ons", "--out", self.path("data"), "--json", "--quiet", *args).json
        files = sorted(glob.glob(self.path("data", "**", "*.parquet"), recursive=True))
        self.assertEqual(len(files), made["files"])
        return files, made

    def migrate(self, status, *sources, **kw):
        more = ["--to", server.url, "--bucket", self.db, "--create", "--state", self.path("state"), "--json"]
        return self.expect(lib.run("migrate", *sources, *more, **kw), status)

    def verify(self, status, *sources):
        r = self.afluxo(status, "verify", *sources, "--to", server.url, "--bucket", self.db, "--json")
        self.assertTrue(r.json["equal"])
        return r.json

    def lines(self, *sources):
        return self.afluxo(DONE, "convert", *sources, "--quiet", binary=lib.RELEASE).out.splitlines()

    def csv(self, name, rows):
        return self.write(name, CSV + "".join(f"N;NORTE;2023-01-{1 + i // 24:02d} {i % 24:02d}:00:00;{i}.5\n" for i in range(rows)))

    def as_nobody(self, *args):
        os.chmod(self.dir, 0o755)
        binary = self.path("afluxo")
        if not os.path.exists(binary):
            shutil.copy(lib.RELEASE, binary)
            os.chmod(binary, 0o755)
        if os.geteuid() == 0:
            return lib.run("--reuid=65534", "--regid=65534", "--clear-groups", "--", binary, *args, binary="setpriv")
        return lib.run(*args, binary=binary)


class Bytes(Damage):
    def convert_damaged(self, name, data):
        """What convert says of these bytes: (status, lines, words), under the name of the file in a message."""
        path = self.write(name, data)
        r = lib.run("convert", path, "--dataset", "generation", binary=lib.RELEASE, timeout=60)
        if r.status != DONE:
            self.assertIn(r.status, (FAILED, REJECTED), r)
            self.assertIn(path, r.err)
        os.unlink(path)
        return r

    def test_generated_pages_carry_checksums(self):
        """Bits of a file as `generate` makes them: each is noticed, or changes nothing."""
        files, made = self.generate("--to", "2023-02-01", "--plants", "8")
        path = next(f for f in files if "dataset=generation" in f)
        with open(path, "rb") as f:
            data = f.read()
        good = self.afluxo(DONE, "convert", path, "--dataset", "generation", "--quiet", binary=lib.RELEASE).out
        footer = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
        count, noticed, crc = 160, 0, 0

        def flip(i):
            at = len(data) * i // count
            damaged = bytearray(data)
            damaged[at] ^= 1 << i % 8
            return at, self.convert_damaged(f"flip{i}.parquet", bytes(damaged))

        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            for at, r in pool.map(flip, range(count)):
                if r.status == DONE:
                    self.assertEqual(r.out, good, f"byte {at}: other rows without a word")
                noticed += r.status != DONE
                crc += "CRC" in r.err
                # what did come out is a part of what should have
                self.assertLessEqual(set(r.out.splitlines()), set(good.splitlines()), f"byte {at}")
        self.assertGreater(noticed, 0.9 * count * footer / len(data))
        self.assertGreater(crc, 0.8 * count * footer / len(data))

    def test_cut_parquet(self):
        files, made = self.generate("--to", "2023-01-10", "--plants", "3")
        with open(files[0], "rb") as f:
            data = f.read()
        for i in range(20):
            r = self.convert_damaged(f"cut{i}.parquet", data[:len(data) * i // 20])
            self.assertEqual(r.status, FAILED)
            self.assertEqual(r.out, "")

    def test_something_else_under_the_name(self):
        for name, data in (("zip.parquet", b"PK\x03\x04" + bytes(1000)), ("text.parquet", b"hello\n" * 100), ("zero.parquet", bytes(5000)),
                           ("magic.parquet", b"PAR1" + bytes(100) + b"\xff\xff\xff\x7fPAR1"), ("short.parquet", b"PAR1PAR1"),
                           ("empty.parquet", b"")):
            r = self.convert_damaged(name, data)
            self.assertEqual(r.status, FAILED, r)
            self.assertEqual(r.out, "")


class Shapes(Damage):
    """Files that are whole and not what was expected."""

    def test_a_column_is_missing(self):
        files, made = self.generate("--to", "2023-01-03", "--plants", "2")
        mapping = self.write("m.yaml", "measurement: x\ntime: timestamp\nfields: { a: no_such_column, v: value }\n")
        r = self.afluxo(FAILED, "convert", files[0], "--mapping", mapping)
        self.assertIn(files[0], r.err)
        self.assertIn("no_such_column", r.err)
        csv = self.write("CURVA_CARGA_2024.csv", "id_subsistema;nom_subsistema;din_instante\nN;NORTE;2023-01-01 00:00:00\n")
        r = self.afluxo(FAILED, "convert", csv, "--dataset", "ons-curva-carga")
        self.assertIn(csv, r.err)
        self.assertIn("val_carga", r.err)
        r = self.afluxo(FAILED, "convert", csv)
        self.assertIn("--mapping", r.err)

    def test_a_column_has_another_type(self):
        files, made = self.generate("--to", "2023-01-03", "--plants", "2")
        for text, column in (("time: value\nfields: { v: value }\n", "value"),
                             ("time: timestamp\nfields: { v: timestamp }\n", "timestamp")):
            mapping = self.write("m.yaml", "measurement: x\n" + text)
            r = self.afluxo(FAILED, "convert", files[0], "--mapping", mapping)
            self.assertIn(files[0], r.err)
            self.assertIn(f"column {column}", r.err)
        # a number that is text in each row: each is told of
        mapping = self.write("m.yaml", "measurement: x\ntime: timestamp\nfields: { v: unit }\n")
        rows = len(self.lines(files[0]))
        state = ["--mapping", mapping, "--to", server.url, "--bucket", self.db, "--create", "--state", self.path("state")]
        r = self.afluxo(REJECTED, "migrate", files[0], *state, "--json")
        self.assertEqual((r.json["rows_rejected"], r.json["points_written"]), (rows, 0))
        with open(r.json["dead_letters"]) as f:
            self.assertEqual(len(f.readlines()), rows)

    def test_one_file_of_another_shape_among_many(self):
        good = [self.csv(f"d/CURVA_CARGA_202{i}.csv", 100) for i in (2, 4)]
        bad = self.write("d/CURVA_CARGA_2023.csv", "id_subsistema;din_instante\nN;2023-01-01 00:00:00\n")
        r = self.migrate(REJECTED, self.path("d"))
        self.assertIn(bad, r.err)
        self.assertEqual((r.json["files"], r.json["files_bad"], r.json["points_written"]), (3, 1, 200))
        self.verify(DONE, *good)

    def test_empty_files(self):
        for name, status in (("e.parquet", FAILED), ("e.csv", FAILED), ("e.lp", DONE)):
            path = self.write(name, "")
            r = self.afluxo(status, "convert", path)
            self.assertEqual(r.out, "")
            if status == FAILED:
                self.assertIn(path, r.err)
        self.assertEqual(self.afluxo(FAILED, "convert", self.write("h/x", "")).out, "")
        header = self.write("CURVA_CARGA_2023.csv", CSV)
        self.assertEqual(self.afluxo(DONE, "convert", header).out, "")
        os.mkdir(self.path("nothing"))
        self.assertIn(self.path("nothing"), self.afluxo(FAILED, "convert", self.path("nothing")).err)


class AmongMany(Damage):
    def test_bad_files_among_many(self):
        """Parquet with a damaged page, with a cut tail and with no bytes, an empty CSV: the rest arrives, and is verified."""
        files, made = self.generate("--to", "2023-05-01", "--plants", "4")
        generation = [f for f in files if "dataset=generation" in f]
        rows = {f: len(self.lines(f)) for f in generation}
        with open(generation[0], "rb") as f:
            data = bytearray(f.read())
        data[len(data) // 2] ^= 4
        self.write(generation[0], data)
        os.truncate(generation[1], 1000)
        os.truncate(generation[2], 0)
        self.write(os.path.join(self.path("data"), "empty.csv"), "")
        r = self.migrate(REJECTED, self.path("data"))
        for f in generation[:3]:
            self.assertIn(f, r.err)
        self.assertIn("CRC", r.err)
        self.assertIn("empty.csv", r.err)
        self.assertEqual(r.json["files_bad"], 3)  # of the damaged page only the row group is lost
        self.assertEqual(server.count("generation_data", "power_mw", self.db), r.json["points_written"] - self.others(files))
        self.assertGreaterEqual(server.count("generation_data", "power_mw", self.db), rows[generation[3]])
        letters = {}
        with open(r.json["dead_letters"]) as f:
            for line in f:
                letter = json.loads(line)
                letters.setdefault(letter["file"], []).append(letter["reason"])
        self.assertEqual(set(letters), set(generation[:3]) | {os.path.join(self.path("data"), "empty.csv")})
        self.verify(REJECTED, self.path("data"))
        # strict: stops at the first, and says which
        strict = lib.run("migrate", self.path("data"), "--to", server.url, "--bucket", self.db, "--state", self.path("s2"), "--strict")
        self.expect(strict, FAILED)

    def others(self, files):
        return len(self.lines(*(f for f in files if "dataset=generation" not in f)))

    def test_lines_and_records_among_good_ones(self):
        lp = self.write("x.lp", "".join(f"m v={i} {i}\n" if i % 10 else f"m v={i}\x00\xff, {i}\n" for i in range(1000)))
        csv = self.write("CURVA_CARGA_2023.csv", CSV + "".join(
            f"N;NORTE;2023-01-{1 + i // 24:02d} {i % 24:02d}:00:00;{i}.5" + (";too;many\n" if i % 50 == 7 else "\n") for i in range(500)))
        r = self.migrate(REJECTED, lp, csv, "--verify")
        self.assertEqual(r.json["rows_rejected"], 100 + 10)
        self.assertTrue(r.json["verified"]["equal"])
        with open(r.json["dead_letters"]) as f:
            found = {(e["file"], e["row"]) for e in map(json.loads, f)}
        self.assertEqual(found, {(lp, i) for i in range(0, 1000, 10)} | {(csv, i) for i in range(7, 500, 50)})

    def test_no_permission_on_a_source(self):
        good = [self.csv(f"d/CURVA_CARGA_202{i}.csv", 100) for i in (2, 4)]
        closed = self.csv("d/CURVA_CARGA_2023.csv", 100)
        os.chmod(closed, 0)
        os.mkdir(self.path("open"))
        os.chmod(self.path("open"), 0o777)
        os.chmod(self.path("d"), 0o755)
        target = ["--to", server.url, "--bucket", self.db, "--create", "--state", self.path("open", "state"), "--json"]
        r = self.expect(self.as_nobody("migrate", self.path("d"), *target), REJECTED)
        self.assertIn(closed, r.err)
        self.assertIn("ermission", r.err)
        self.assertEqual((r.json["files_bad"], r.json["points_written"]), (1, 200))
        self.verify(DONE, *good)
        r = self.expect(self.as_nobody("migrate", closed, *target), FAILED)
        self.assertIn(closed, r.err)
        # a directory that may not be looked into
        os.mkdir(self.path("d", "sub"))
        os.chmod(self.path("d", "sub"), 0)
        r = self.expect(self.as_nobody("convert", self.path("d")), FAILED)
        self.assertIn(self.path("d", "sub"), r.err)
