#!/usr/bin/env python3
"""Does afluxo read line protocol as a real influxd does?

    lp_influxd.py [--influxd /usr/bin/influxd] [--seed N] [--random N] [-v] AFLUXO

Starts an influxd 1.x of its own on loopback in a temporary directory. Every case (one request: usually one line) is
  1. sent to /write; what the server refuses as `unable to parse`, and its words, is noted;
  2. written to a file, and `AFLUXO inspect sample --json FILE` is run: refusals are on stderr (`line N: REASON`), points on
     stdout, an object {"series", "time", "fields"} each.
The two must agree on which lines are refused and on the words, and the points must be what the server then holds.
Exit code: 0 all agree, 1 some differ, 77 there is no influxd.
"""
import argparse
import calendar
import json
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

# One request a case. Grouped by what they are after.
CASES = rb"""
m f=1 5
m f=1
m,a=b f=1 5
m,b=1,a=2 f=1 5
m,b=1,a=2,c=3,aa=4,A=5 f=1 5
m,a=1,a=2 f=1
m,b=1,a=2,b=3 f=1
m,b=1,a=2,c=3,a=4 f=1
m
m,
m,a
m,a=
m,a=b
m,a=b,
m,a=b, f=1
m,a=,b=1 f=1
m,=b f=1
m,,a=b f=1
m,a=b,,c=d f=1
m,a f=1
m,a,b=1 f=1
m,a=b=c f=1
m,a==b f=1
m,a===b f=1
m,a=b\=c f=1
m,a\=b=c f=1
m,a\,b=c f=1
m,a\ b=c\ d f=1
m,a=b\,c f=1
m\,n,a=b f=1
m\ n,a=b f=1
m\=n,a=b f=1
m=n,a=b f=1
m,a=\b f=1
m,a=b\ f=1
m,a=b\\ f=1
m,a=b\\,c=d f=1
m,a\\=b f=1
m\\,a=b f=1
m\\\,a=b f=1
\m f=1
\ m f=1
\, f=1
\\ f=1
,a=b f=1
,m f=1
=m f=1
"m" f=1
"m,a=b" f=1
"m n" f=1
m"n,a="b" f=1
m,a="b c" f=1
m,a="b,c=d" f=1
m,"a"=b f=1
m f=1 5 6
m f=1 5x
m f=1 x
m f=1 5.0
m f=1 -5
m f=1 --5
m f=1 -
m f=1 +5
m f=1 5-
m f=1 9223372036854775806
m f=1 9223372036854775807
m f=1 9223372036854775808
m f=1 -9223372036854775806
m f=1 -9223372036854775807
m f=1 -9223372036854775808
m f=1 -9223372036854775809
m f=1 99999999999999999999
m f=1 00000000000000000000005
m f=1 0
m f=1 -0
m f=1  5
m   f=1   5
m f=1 5 
m f=1 5   
m f=1  
 m f=1 5
	m f=1 5
m	f=1 5
m f=1	5
m 	f=1 5
m f=1 	5
m f=1 5	
m	n f=1
m f
m f=
m f= 5
m f=,g=1
m f= ,g=1
m f=1,
m f=1, 5
m f=1,g
m f=1,g 5
m f=1,g=
m f=1,g= 5
m f=1,,g=2
m f=1,=2
m =1
m ==1
m ,f=1
m f==1
m f=1=2
m f=1,g=2,h=3
m f=1,f=2
m f=1,f=2,f=3 5
m f=t,f=true,g=f
m f
m 5
m f 5
m f=t
m f=T
m f=true
m f=True
m f=TRUE
m f=f
m f=F
m f=false
m f=False
m f=FALSE
m f=tRUE
m f=truE
m f=tr
m f=trues
m f=fals
m f=falses
m f=yes
m f=x
m f=t5
m f=tt
m f=Inf
m f=-Inf
m f=inf
m f=+Inf
m f=Infinity
m f=NaN
m f=nan
m f=-NaN
m f=N
m f=n
m f=Na
m f=null
m f=1i
m f=-1i
m f=0i
m f=-0i
m f=i
m f=-i
m f=1I
m f=1ii
m f=1i1
m f=1i,g=2i
m f=1.0i
m f=1.i
m f=.i
m f=1e5i
m f=1ei
m f=0x1i
m f=0x1
m f=1_000
m f=1_000i
m f=9223372036854775807i
m f=9223372036854775808i
m f=-9223372036854775808i
m f=-9223372036854775809i
m f=99999999999999999999i
m f=000000000000000000000000012i
m f=-000000000000000000000000012i
m f=1u
m f=0u
m f=-1u
m f=18446744073709551615u
m f=18446744073709551616u
m f=1.0u
m f=1ui
m f=1iu
m f=1
m f=1.
m f=.5
m f=-.5
m f=-1.
m f=.
m f=-.
m f=-
m f=--1
m f=+1
m f=1.5.5
m f=1..5
m f=1.5,g=2.5
m f=-0
m f=-0.0
m f=0
m f=00
m f=01
m f=007.50
m f=1e5
m f=1E5
m f=1e+5
m f=1e-5
m f=1E+5
m f=1.5e5
m f=1.e5
m f=.5e5
m f=-1e5
m f=-e5
m f=e5
m f=1e
m f=1e+
m f=1e-
m f=1ee5
m f=1e5e5
m f=1e5.5
m f=1e+-5
m f=1e5+
m f=1-5
m f=1+5
m f=1e400
m f=-1e400
m f=1e308
m f=1.7976931348623157e308
m f=1.7976931348623159e308
m f=1e-400
m f=5e-324
m f=2e-324
m f=2.2250738585072011e-308
m f=0.1
m f=0.30000000000000004
m f=123456789012345678901234567890
m f=1234567890123456789012345678901234567890.1234567890123456789
m f=0.00000000000000000000000000000000000000012345678901234567
m f=9007199254740993
m f=9007199254740992.5
m f=1f
m f=1d
m f=1L
m f=1a
m f=1;
m f="a"
m f=""
m f="
m f="a
m f=a"
m f="a"b
m f="a"b"c"
m f="a""b"
m f="a" "b"
m f="a" 5
m f="a"5
m f="a", g=1
m f="a",g=1
m f="a b" 5
m f="a,b" 5
m f="a=b" 5
m f="a\"b" 5
m f="a\\b" 5
m f="a\\" 5
m f="a\" 5
m f="a\\\" 5
m f="a\\\\" 5
m f="a\nb" 5
m f="a\,b" 5
m f="a\ b" 5
m f="\"" 5
m f="\\" 5
m f="\\\"" 5
m f="a\x" 5
m f="a\" 5"
m f="a",g="b",h="c" 5
m f="a",g=1i,h=t,k=1.5 5
m f=\"a\"
m f="\u00e9"
m "f"=1
m "f"="a"
m "f g"=1
m "f,g"=1
m f\ g=1
m f\,g=1
m f\=g=1
m f\"g=1
m f"g=1
m f"g"h=1
m f\g=1
m f\\g=1
m f\\=1
m f\\\=g=1
m f=1,g\ h=2
m f=1,g\,h=2
m f=1,"g=2
m f=1,g"=2
m f="a"=1
m f="a"=1,
m f="a"=1,g
m f="a"=t,g=1
m f="a"x=1,g
m a,b="x"=1
m a,b=1
m a b=1
m f=1\
m f=1\,g=2
m f=1\ 5
m f="a"\ 5
m f=t\ 5
#
# comment
#m f=1
 # comment
m#n f=1
m,#a=b f=1
m #f=1
m f=1 #c
m f=1 5 #c
m,time=1 f=1 5
m,time=1,a=b f=1 5
m time=1 5
m time=1,f=2 5
m f=2,time=1 5
m time="a" 5
m time\ =1
m,host=\"a\" f=1
caf\xc3\xa9,t=\xc3\xa9 f=1,\xc3\xa9="\xc3\xa9" 5
m,a=\xff f=1 5
m f="\xff\xfe" 5
m f=1 5\r
m f="a\rb" 5
m\r f=1
\r
m,a=b\r f=1
m f=1\x00
m\x00 f=1
\x00m f=1
\x00
m \x00f=1
m f=1 \x005
m f=1 5\x00
m f="a\nb" 5\nm f="c" 6
m f="a\nb,c=d\n" 5
m,a="b\nm f=1
m f=1 5\n\n\n# x\nm f=2 6
# a="b\nm f=1 5
# a=b\nm f=1 5
m f=1\nbad\nm f=2 6\nworse,\nm f=3 7
m\\\nn f=1 5
m,a=\\\nb f=1 5
m f\\\ng=1 5
m f="a\\\nb" 5
m f=1 5\\\nm f=2 6
m f=1 "\nm f=2 6
m f=1,g="a\nb
\n\nm f=1 5\n\n
 \n\t\nm f=1 5
m f=1 5\n  
m f=1 5\n#
m f=1 5\nm
"""


def cases():
    """The list above, with its escapes for bytes that do not fit a line of this file: \\n \\r \\xHH after the case's own text.

    A case keeps its backslashes: only `\\r`, `\\xHH` and `\\n` between lines become bytes, and `\\n` inside a string stays as it
    is unless it is followed or preceded by a whole line; to stay simple both readings are tried."""
    out = []
    for raw in CASES.split(b"\n"):
        if raw == b"":
            continue
        out.append(raw)
        cooked = raw
        for code in (b"\\xc3", b"\\xa9", b"\\xff", b"\\xfe", b"\\x00"):
            cooked = cooked.replace(code, bytes([int(code[2:], 16)]))
        cooked = cooked.replace(b"\\\\\\n", b"\\\n").replace(b"\\n", b"\n").replace(b"\\r", b"\r")
        if cooked != raw:
            out.append(cooked)
    key = b"m,a=" + b"x" * (65535 - 4 - 4 - 1)
    out += [key + b" f=1 5", key + b"x f=1 5", key + b" fg=1 5", key + b"xxxxx f=1 5", key + b"xxxxxx f=1 5"]
    out.append(b"m," + b",".join(b"t%d=%d" % (i, i) for i in range(300, 0, -1)) + b" f=1 5")
    out.append(b"m " + b",".join(b"f%d=%d" % (i, i) for i in range(300)) + b" 5")
    return out


PIECES = [b"m", b"a", b"b", b"f", b"=", b"=", b",", b",", b" ", b" ", b'"', b'"', b"\\", b"1", b"5", b"-", b".", b"e", b"i", b"t",
          b"true", b"f=1", b"a=b", b",c=d", b' f="', b'" ', b"12i", b" 5", b"#", b"\t", b"n", b"+", b"F", b"m,a=b f=1", b",g=2"]


def random_cases(seed, count):
    """Pieces of lines thrown together, and good lines with a few bytes changed."""
    rng = random.Random(seed)
    good = [c for c in cases() if len(c) < 60 and b"=" in c]
    for _ in range(count):
        if rng.random() < 0.5:
            line = b"m" + b"".join(rng.choice(PIECES) for _ in range(rng.randint(1, 14)))
        else:
            line = bytearray(rng.choice(good))
            for _ in range(rng.randint(1, 3)):
                at = rng.randrange(len(line) + 1)
                line[at:at + rng.randint(0, 1)] = rng.choice(PIECES)
            line = bytes(line)
        if not line.startswith(b"_"):
            yield line


CONFIG = """
reporting-disabled = true
bind-address = "127.0.0.1:{rpc}"
[meta]
  dir = "{dir}/meta"
[data]
  dir = "{dir}/data"
  wal-dir = "{dir}/wal"
  index-version = "inmem"
  query-log-enabled = false
  max-values-per-tag = 0
  max-series-per-database = 0
[http]
  enabled = true
  bind-address = "127.0.0.1:{http}"
  log-enabled = false
[monitor]
  store-enabled = false
[continuous_queries]
  enabled = false
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    def __init__(self, program):
        self.dir = tempfile.mkdtemp(prefix="afluxo-lp-")
        port = free_port()
        self.url = "http://127.0.0.1:%d" % port
        config = os.path.join(self.dir, "influxdb.conf")
        with open(config, "w") as f:
            f.write(CONFIG.format(dir=self.dir, rpc=free_port(), http=port))
        self.log = open(os.path.join(self.dir, "log"), "wb")
        self.process = subprocess.Popen([program, "-config", config], stdout=self.log, stderr=self.log)
        for _ in range(200):
            try:
                urllib.request.urlopen(self.url + "/ping", timeout=1).close()
                return
            except (urllib.error.URLError, OSError):
                time.sleep(0.05)
        raise SystemExit("influxd did not start; see " + self.dir)

    def close(self):
        self.process.terminate()
        self.process.wait()
        self.log.close()
        shutil.rmtree(self.dir)

    def call(self, path, body=None, **query):
        url = self.url + path + "?" + urllib.parse.urlencode(query)
        try:
            with urllib.request.urlopen(urllib.request.Request(url, data=body), timeout=20) as answer:
                return answer.read()
        except urllib.error.HTTPError as error:
            return error.read()
        except (urllib.error.URLError, OSError) as error: # it panicked and hung up
            return json.dumps({"error": "no answer: %s" % error}).encode()

    def write(self, db, lines):
        text = self.call("/write", lines, db=db, precision="n").decode("utf-8", "surrogateescape")
        return json.loads(text)["error"] if text.strip() else ""

    def content(self, db):
        answer = json.loads(self.call("/query", b"", db=db, epoch="ns", q="SELECT * FROM /.*/ GROUP BY *"))
        points = {}
        for series in answer["results"][0].get("series", []):
            tags = tuple(sorted((k, v) for k, v in series.get("tags", {}).items() if v != ""))
            for row in series["values"]:
                fields = {k: typed(v) for k, v in zip(series["columns"][1:], row[1:]) if v is not None}
                points[series["name"], tags, row[0]] = fields
        return points


def typed(value):
    return (isinstance(value, bool), value)  # Python takes True for 1


def server_refusals(error):
    """The reasons in `unable to parse 'LINE': REASON` joined by newlines. LINE may hold anything, so cut from the right."""
    reasons = []
    for part in error.split("unable to parse '")[1:]:
        reasons.append(part[part.rindex("': ") + 3:].rstrip("\n").removesuffix(" dropped=0"))
    return reasons


def unescape(text, characters):
    for c in characters:
        text = text.replace("\\" + c, c)
    return text


def split_key(key):
    """A stored series key into measurement and tags; a byte behind a backslash never separates."""
    parts = re.split(r"(?<!\\),", key)
    tags = [re.split(r"(?<!\\)=", part, maxsplit=1) for part in parts[1:]]
    return unescape(parts[0], ",\"= "), tuple(sorted((unescape(k, ",= "), unescape(v, ",= ")) for k, v in tags))


def to_ns(text):
    seconds, _, fraction = text.rstrip("Z").partition(".")
    return calendar.timegm(time.strptime(seconds, "%Y-%m-%dT%H:%M:%S")) * 10**9 + int((fraction or "0").ljust(9, "0"))


def ours_of(program, path):
    """Refusals and points of the file."""
    run = subprocess.run([program, "inspect", "sample", "--json", path], capture_output=True, timeout=60)
    reasons = re.findall(r"\bline \d+: (.*)", run.stderr.decode("utf-8", "replace"))
    points = {}
    for text in run.stdout.decode("utf-8", "replace").split("\n"):
        if text.startswith("{"):
            point = json.loads(text)
            fields = {k: typed(v) for k, v in point["fields"].items()}
            points.setdefault((*split_key(point["series"]), to_ns(point["time"])), {}).update(fields)
    if run.returncode not in (0, 3):
        reasons.append("exit code %d: %s" % (run.returncode, run.stderr.decode("utf-8", "replace")[:300]))
    return reasons, points


def without_clocks(points):
    """A line without a time got the clock of each side: those times are one."""
    return {(m, tags, "now" if abs(t / 1e9 - time.time()) < 3600 else t): fields for (m, tags, t), fields in points.items()}


def is_utf8(case):
    try:
        case.decode("utf-8")
        return True
    except UnicodeDecodeError:
        return False


# Where we differ on purpose (docs/formats/line-protocol.md).
def is_known(theirs, ours):
    return ours.startswith(("cannot use reserved tag key", "missing field key", "invalid field name: input field \"time\"",
                            "invalid value: field-key=")) or (theirs.startswith("unable to parse integer") and theirs[:100] == ours[:100])


def compare(server, program, number, case):
    """(what differs or None, lines refused, contents compared, known difference)."""
    db, path = "c%d" % number, os.path.join(server.dir, "case.lp")
    with open(path, "wb") as f:
        f.write(case)
    server.call("/query", b"", q="CREATE DATABASE " + db)
    error = server.write(db, case)
    theirs = server_refusals(error)
    reasons, points = ours_of(program, path)
    why, compared, known = None, False, None
    if theirs != reasons:
        why = "refused: %r\n     ours: %r" % (theirs or error, reasons)
        if any(is_known(t, o) for t, o in zip(theirs + [""] * len(reasons), reasons)) or error.startswith("no answer"):
            why, known = None, why
    elif is_utf8(case) and not error.startswith("partial write: field type"):
        compared = len(points) > 0
        held = without_clocks(server.content(db))
        if held == {} and any("\\" in measurement for measurement, _, _ in points):
            compared = False  # influxd takes such a measurement and then cannot find it by its name
        elif held != without_clocks(points):
            why = "holds %r\n     ours %r" % (held, points)
    server.call("/query", b"", q="DROP DATABASE " + db)
    return why, len(theirs), compared, known


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--influxd", default="/usr/bin/influxd")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--random", type=int, default=300)
    parser.add_argument("-v", "--verbose", action="store_true")
    parser.add_argument("program")
    args = parser.parse_args()
    if not os.access(args.influxd, os.X_OK):
        print("no influxd at", args.influxd)
        return 77
    server = Server(args.influxd)
    different = documented = contents = refused = 0
    todo = cases() + list(random_cases(args.seed, args.random))
    try:
        for number, case in enumerate(todo):
            why, refusals, compared, known = compare(server, args.program, number, case)
            refused += refusals
            contents += compared
            documented += known is not None
            if known is not None and args.verbose:
                print("as documented: %r\n  %s" % (case[:200], known[:400]))
            if why is not None:
                different += 1
                print("case %r\n  %s" % (case[:200], why[:2000]))
    finally:
        server.close()
    print("%d lines refused alike or as documented, contents of %d cases compared, %d cases differ as documented"
          % (refused, contents, documented))
    print("%d passed, %d failed" % (len(todo) - different, different))
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
