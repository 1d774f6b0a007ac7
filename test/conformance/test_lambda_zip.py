"""function.zip for both of Lambda's processors: runs in an empty root (arm64 by qemu), and is the same, byte for byte, wherever it is built.

A root with nothing in it but the zip's own files and /tmp: no C library, no certificates of the system, no /etc, no /proc. Needs root (chroot)
and the packages of `tools/install.sh lambda`; what cannot be made fails. AFLUXO_TEST_LAMBDA names a directory that keeps the sysroots and
objects from one run to the next.
"""
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", room) for room in ("e2e", "lib")]
import lib  # noqa: E402
from lying_s3 import LyingS3  # noqa: E402
from runtime_api import RuntimeApi  # noqa: E402

ARCHES = {"amd64": "x86_64", "arm64": "arm64"}
QEMU = "/usr/bin/qemu-aarch64-static"
ZIP_BYTES_MAX = 50 << 20  # what Lambda takes directly


def setUpModule():
    global influxd, s3, out, tidy_up
    kept = os.environ.get("AFLUXO_TEST_LAMBDA", "")
    out, tidy_up = kept or tempfile.mkdtemp(prefix="afluxo-lambda-"), not kept
    for arch, name in ARCHES.items():
        build(lib.ROOT, arch, os.path.join(out, name))
    influxd, s3 = lib.Influxd(), LyingS3()
    influxd.query("CREATE DATABASE energy_data")


def tearDownModule():
    influxd.close()
    s3.close()
    if tidy_up:
        shutil.rmtree(out, ignore_errors=True)


def build(tree, arch, to):
    p = subprocess.run([os.path.join(tree, "tools", "lambda", "build.sh"), arch, to], capture_output=True, text=True)
    assert p.returncode == 0, p.stdout[-3000:] + p.stderr[-3000:]


def sha256(path):
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()


class Zip(lib.Case):
    def root(self, arch):
        """The zip unpacked where there is nothing else."""
        root = self.path("root")
        with zipfile.ZipFile(os.path.join(out, ARCHES[arch], "function.zip")) as z:
            z.extractall(root)
        os.chmod(os.path.join(root, "bootstrap"), 0o755)
        os.mkdir(os.path.join(root, "tmp"))
        if arch == "arm64":
            shutil.copy(QEMU, os.path.join(root, "qemu"))
        return root

    def start(self, arch, handler, root, api, **env):
        command = ["/qemu", "/bootstrap"] if arch == "arm64" else ["/bootstrap"]
        env = {"AWS_LAMBDA_RUNTIME_API": api.address, "_HANDLER": handler, "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "none",
               "AWS_SECRET_ACCESS_KEY": "none", "AWS_EC2_METADATA_DISABLED": "true", "AWS_ENDPOINT_URL": s3.url, "INFLUXDB_URL": influxd.url,
               "INFLUXDB_TOKEN": "any:thing", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256", **env}
        return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                preexec_fn=lambda: (os.chroot(root), os.chdir("/")))

    def said(self, process):
        process.terminate()
        text = process.communicate(timeout=30)[0].decode(errors="replace")
        self.assertEqual(process.returncode, 0, text)
        return text

    def runs(self, arch):
        root, api = self.root(arch), RuntimeApi(timeout=60)
        self.addCleanup(api.close)
        influxd.query("DROP SERIES FROM /.*/", "energy_data")
        s3.put("a.lp", arch)
        process = self.start(arch, "loader", root, api)
        event = {"Records": [{"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": "bucket"}, "object": {"key": "a.lp"}}}]}
        kind, body = api.invoke(event)
        text = self.said(process)
        self.assertEqual((kind, body.get("data", {}).get("points_written")), ("response", 100), (body, text))
        self.assertEqual(influxd.count("load", "mw", "energy_data"), 100)
        self.assertEqual(sorted(os.listdir(root)), sorted(["bootstrap", "ca-bundle.pem", "LICENSE", "LINKED", "tmp"] +
                                                         ["qemu"] * (arch == "arm64")))
        self.assertEqual(os.listdir(os.path.join(root, "tmp")), [])
        process = self.start(arch, "monitor.handler", root, api)
        kind, body = api.invoke({})
        self.assertEqual((kind, body["message"]), ("response", "healthy"), self.said(process))

    def trusts(self, arch):
        """TLS with the certificates of the zip: a server that they do not vouch for is refused, one of INFLUXDB_CA_FILE is not."""
        cert, key = self.path("cert.pem"), self.path("key.pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert, "-days", "30", "-subj",
                        "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
        port, root, api = lib.free_port(), self.root(arch), RuntimeApi(timeout=60)
        self.addCleanup(api.close)
        shutil.copy(cert, os.path.join(root, "own.pem"))
        server = subprocess.Popen(["openssl", "s_server", "-accept", str(port), "-cert", cert, "-key", key, "-www", "-quiet"],
                                  stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            words = []
            for more in ({}, {"INFLUXDB_CA_FILE": "/own.pem"}):
                process = self.start(arch, "monitor", root, api, INFLUXDB_URL=f"https://127.0.0.1:{port}", **more)
                for _ in range(50):  # until the server is there
                    kind, body = api.invoke({})
                    if "Failed to connect" not in body["message"]:
                        break
                    time.sleep(0.1)
                self.said(process)
                words.append((body["data"]["ConnectSuccess"], "TlsDaysLeft" in body["data"], body["message"]))
            self.assertEqual(words[0][0], 0, words)
            self.assertIn("certificate", words[0][2])
            self.assertEqual(words[1][:2], (1, True), words)
        finally:
            server.kill()
            server.wait()

    def test_amd64_runs_in_an_empty_root(self):
        self.runs("amd64")

    def test_arm64_runs_in_an_empty_root(self):
        self.runs("arm64")

    def test_amd64_trusts_by_the_certificates_of_the_zip(self):
        self.trusts("amd64")

    def test_arm64_trusts_by_the_certificates_of_the_zip(self):
        self.trusts("arm64")

    def test_they_are_static_and_of_their_processor(self):
        for arch, machine in (("amd64", 62), ("arm64", 183)):
            with open(os.path.join(out, ARCHES[arch], "bootstrap"), "rb") as f:
                head = f.read(64)
            self.assertEqual((head[:5], int.from_bytes(head[18:20], "little")), (b"\x7fELF\x02", machine))
            headers = subprocess.run(["readelf", "-lW", os.path.join(out, ARCHES[arch], "bootstrap")], capture_output=True, text=True).stdout
            self.assertNotIn("INTERP", headers)

    def test_the_zip_is_what_lambda_takes(self):
        for name in ARCHES.values():
            path = os.path.join(out, name, "function.zip")
            self.assertLess(os.path.getsize(path), ZIP_BYTES_MAX)
            with zipfile.ZipFile(path) as z:
                infos = {i.filename: i for i in z.infolist()}
                self.assertEqual(sorted(infos), ["LICENSE", "LINKED", "bootstrap", "ca-bundle.pem"])
                self.assertEqual(infos["bootstrap"].external_attr >> 16, 0o100755)
                self.assertEqual({i.date_time for i in infos.values()}, {(1980, 1, 1, 0, 0, 0)})
                linked = z.read("LINKED").decode()
            for library in ("curl", "libssl-dev", "libsqlite3-dev"):
                self.assertRegex(linked, rf"(?m)^{library} \S")

    def test_another_directory_gives_the_same_bytes(self):
        """Of every object of some rooms compiled anew, and the program and zips made anew from them, in another place and another order: the
        sysroot is Debian's own, the rest of the objects are those of the first build. AFLUXO_TEST_WHOLE=1 compiles all of it anew."""
        whole = os.environ.get("AFLUXO_TEST_WHOLE") == "1"
        for arch, name in ARCHES.items():
            first, tree, second = os.path.join(out, name), self.path("elsewhere", arch), self.path("another", arch)
            os.makedirs(tree)
            for room in ("src", "tools", "python"):
                shutil.copytree(os.path.join(lib.ROOT, room), os.path.join(tree, room))
            for file in ("Makefile", "LICENSE"):
                shutil.copy(os.path.join(lib.ROOT, file), tree)
            os.makedirs(second)
            os.symlink(os.path.join(first, "sysroot"), os.path.join(second, "sysroot"))
            for file in ("done", "packages", "curl-version"):
                shutil.copy(os.path.join(first, file), second)
            if not whole:
                shutil.copytree(os.path.join(first, "obj", "static"), os.path.join(second, "obj", "static"))
                later = time.time() + 60
                for base, _, files in os.walk(os.path.join(second, "obj", "static")):
                    again = os.path.relpath(base, os.path.join(second, "obj", "static", "src")) in ("lambda", "load", "os", "base")
                    for file in files:
                        if again or file.endswith(".d"):
                            os.remove(os.path.join(base, file))
                        else:
                            os.utime(os.path.join(base, file), (later, later))
            build(tree, arch, second)
            for file in ("bootstrap", "function.zip"):
                self.assertEqual(sha256(os.path.join(first, file)), sha256(os.path.join(second, file)), (arch, file))


if __name__ == "__main__":
    lib.unittest.main()
