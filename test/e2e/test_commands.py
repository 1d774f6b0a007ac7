"""The commands, one by one, from a user's side."""
import json
import os
import subprocess

import lib
from lib import DONE, FAILED, REJECTED, USAGE, Case

CSV = """id_subsistema;nom_subsistema;din_instante;val_cargaenergiahomwmed
N;NORTE;2023-01-01 00:00:00;5000.5
NE;NORDESTE;2023-01-01 00:00:00;9000.25
N;NORTE;2023-01-01 01:00:00;
NE;NORDESTE;2023-01-01 01:00:00;0E-8
"""


class Usage(Case):
    def test_no_command_shows_help(self):
        r = self.afluxo(USAGE)
        self.assertIn("migrate", r.err)

    def test_help_and_version(self):
        self.assertIn("Exit status", self.afluxo(DONE, "--help").out)
        self.assertTrue(self.afluxo(DONE, "--version").out.startswith("afluxo "))
        for command in ("migrate", "convert", "verify", "write", "query", "inspect", "generate", "completion", "man"):
            self.assertIn("Options:", self.afluxo(DONE, command, "--help").out)

    def test_unknown_things_are_named(self):
        self.assertIn('no command "frobnicate"', self.afluxo(USAGE, "frobnicate").err)
        self.assertIn("--frob", self.afluxo(USAGE, "migrate", "--frob").err)
        self.assertIn("--memory wants", self.afluxo(USAGE, "migrate", "--memory", "much").err)
        self.assertIn("did you mean migrate?", self.afluxo(USAGE, "migate").err)
        self.assertIn("did you mean --dataset?", self.afluxo(USAGE, "convert", "--datsaet", "x").err)
        self.assertIn("ons-curva-carga", self.afluxo(USAGE, "convert", __file__, "--dataset", "ons").err)
        self.assertIn("America/Sao_Paulo", self.afluxo(USAGE, "convert", __file__, "--time-zone", "Mars").err)
        self.afluxo(USAGE, "migrate")
        self.assertIn("/no/such", self.afluxo(FAILED, "migrate", "/no/such", "--to", "http://127.0.0.1:1").err)

    def test_datasets_are_listed_by_whoever_takes_them(self):
        for command in ("migrate", "convert", "verify"):
            self.assertIn("ons-balanco", self.afluxo(DONE, command, "--list-datasets").out)

    def test_help_is_for_the_command_and_fits_a_screen(self):
        self.assertIn("-o, --output FILE", self.afluxo(DONE, "convert", "--help").out)
        self.assertIn("--from DATE", self.afluxo(DONE, "generate", "--help").out)
        for command in ("migrate", "convert", "verify", "write", "query", "inspect", "generate"):
            for line in self.afluxo(DONE, command, "--help").out.splitlines():
                self.assertLess(len(line), 131, line)

    def test_several_files_are_told_apart(self):
        a, b = self.write("d/CURVA_CARGA_2022.csv", CSV), self.write("d/CURVA_CARGA_2023.csv", CSV)
        for what in ("schema", "stats", "mapping"):
            out = self.afluxo(DONE, "inspect", what, self.path("d")).out
            self.assertIn(f"# {a}\n", out)
            self.assertIn(f"# {b}\n", out)

    def test_completions_are_shell(self):
        script = self.afluxo(DONE, "completion", "bash").out
        subprocess.run(["bash", "-n"], input=script.encode(), check=True)
        self.assertIn("migrate", script)

    def test_config_file_and_its_errors(self):
        path = self.write("c.yaml", "rows: 1\n")
        csv = self.write("CURVA_CARGA_2023.csv", CSV)
        r = self.afluxo(DONE, "inspect", "sample", csv, "--config", path)
        self.assertEqual(len(r.out.splitlines()), 1)
        bad = self.write("bad.yaml", "rwos: 1\n")
        self.assertIn("rwos", self.afluxo(USAGE, "inspect", "sample", csv, "--config", bad).err)

    def test_a_token_is_not_in_ps(self):
        server = lib.free_port()
        lines = self.write("x.lp", "m v=1 1\n")
        p = lib.start("write", lines, "--to", f"http://127.0.0.1:{server}", "--bucket", "b", "--influx-version", "2",
                      "--token", "supersecrettoken", "--org", "o", "--state", self.path("state"), "--patience", "2s",
                      "--retry-budget", "1s")
        import time
        time.sleep(0.7)
        with open(f"/proc/{p.pid}/cmdline", "rb") as f:
            self.assertNotIn(b"supersecret", f.read())
        out, err = p.communicate()
        self.assertNotIn(b"supersecret", out + err)


class Convert(Case):
    def test_ons_csv(self):
        path = self.write("CURVA_CARGA_2023.csv", CSV)
        r = self.afluxo(DONE, "convert", path)
        lines = r.out.splitlines()
        self.assertEqual(len(lines), 3)
        # 2023-01-01 00:00 in Brasilia is 03:00 UTC
        self.assertTrue(lines[0].endswith(" 1672542000000000000"), lines[0])
        self.assertIn("demand_mw=5000.5", lines[0])
        self.assertIn("demand_mw=0 ", lines[2] + " ")

    def test_time_zone_and_precision(self):
        path = self.write("CURVA_CARGA_2023.csv", CSV)
        r = self.afluxo(DONE, "convert", path, "--time-zone", "UTC", "--precision", "s")
        self.assertTrue(r.out.splitlines()[0].endswith(" 1672531200"), r.out)

    def test_bad_rows_are_named(self):
        path = self.write("CURVA_CARGA_2023.csv", CSV + "S;SUL;2023-13-01 00:00:00;1\nS;SUL;2023-01-01 00:00:00;abc\n")
        r = self.afluxo(REJECTED, "convert", path)
        self.assertIn("row 4", r.err)
        self.assertIn("row 5", r.err)
        self.assertIn("abc", r.err)
        self.assertEqual(len(r.out.splitlines()), 3)

    def test_unknown_table_wants_a_mapping_and_infer_guesses(self):
        path = self.write("x.csv", "when,where,temp\n2024-01-01T00:00:00Z,a,1.5\n2024-01-01T01:00:00Z,b,2.5\n")
        self.assertIn("--mapping", self.afluxo(FAILED, "convert", path).err)
        r = self.afluxo(DONE, "convert", path, "--infer")
        self.assertEqual(len(r.out.splitlines()), 2)
        self.assertIn("temp=1.5", r.out)
        # what it guessed reads back as a mapping that gives the same
        mapping = self.write("m.yaml", self.afluxo(DONE, "inspect", "mapping", path, "--infer").out)
        self.assertEqual(self.afluxo(DONE, "convert", path, "--mapping", mapping).out, r.out)

    def test_line_protocol_passes_through_canonically(self):
        r = self.afluxo(DONE, "convert", "-", stdin=b"m,b=2,a=1 v=1i,w=\"x\" 5\n")
        self.assertEqual(r.out, 'm,a=1,b=2 v=1i,w="x" 5\n')

    def test_a_full_disk_fails(self):
        path = self.write("CURVA_CARGA_2023.csv", CSV)
        self.assertIn("/dev/full", self.afluxo(FAILED, "convert", path, "-o", "/dev/full").err)

    def test_no_permission_and_empty_file(self):
        empty = self.write("CURVA_CARGA_2023.csv", "")
        self.assertIn("CURVA_CARGA_2023.csv", self.afluxo(FAILED, "convert", empty).err)
        empty = self.write("e.parquet", "")
        self.assertIn("e.parquet", self.afluxo(FAILED, "convert", empty).err)


class Inspect(Case):
    def test_generated_parquet(self):
        out = self.path("d")
        r = self.afluxo(DONE, "generate", "ons", "--out", out, "--from", "2023-01-01", "--to", "2023-02-01", "--plants", "20",
                        "--json")
        made = r.json
        stats = 0
        for root, _, files in os.walk(out):
            for name in files:
                s = self.afluxo(DONE, "inspect", "stats", os.path.join(root, name), "--json").json
                stats += s["rows"]
                self.assertTrue(all(c["name"] for c in s["columns"]))
        self.assertEqual(stats, made["rows"])
        sample = self.afluxo(DONE, "inspect", "sample", os.path.join(out, "dataset=generation"), "--rows", "3", "--json").out
        rows = [json.loads(line) for line in sample.splitlines()]
        self.assertEqual(len(rows), 3)
        self.assertEqual(rows[0]["timestamp"], "2023-01-01T00:00:00.000000000Z")
        schema = self.afluxo(DONE, "inspect", "schema", out + "/dataset=generation", "--json").json
        self.assertIn("INT96", json.dumps(schema))

    def test_same_seed_same_bytes(self):
        hashes = []
        for name in ("a", "b"):
            self.afluxo(DONE, "generate", "ons", "--out", self.path(name), "--to", "2023-01-03", "--plants", "5", "--seed", "7")
            hashes.append(subprocess.run(["sh", "-c", "find . -type f | sort | xargs -d '\\n' md5sum"], cwd=self.path(name),
                                         capture_output=True, check=True).stdout)
        self.assertEqual(hashes[0], hashes[1])
        self.assertTrue(hashes[0])
