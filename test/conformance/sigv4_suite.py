#!/usr/bin/env python3
"""AWS's own suite of signature version 4, run on ours.

    sigv4_suite.py DIRECTORY

DIRECTORY (or AF_SIGV4_DIR) is either tests/aws-signing-test-suite/v4 of a checkout of github.com/awslabs/aws-c-auth: each case is signed twice, as
headers and as a URL; or tests/unit/auth/aws4_testsuite of botocore, the suite's older form, which test_aws_core.py takes from botocore's source
distribution and which is signed as headers only. Canonical request, string to sign and signature must be the suite's. Nothing of either is
kept here. The last line is "N passed, N failed".
"""
import calendar
import hashlib
import json
import os
import sys
import tempfile
import time
import urllib.parse

import aws_peer


def read(case, name):
    with open(os.path.join(case, name), encoding="utf-8", newline="") as f:
        return f.read().replace("\r\n", "\n")


def parse(text):
    """Method, path, query and headers as they were written, body."""
    head, _, body = text.partition("\n\n")
    first, *lines = head.split("\n")
    method, rest = first.split(" ", 1)
    target = rest.rsplit(" HTTP/", 1)[0]
    path, mark, query = target.partition("?")
    headers = []
    for line in lines:
        if line[:1] in " \t":
            headers[-1][1] += " " + line.strip()
        elif line:
            headers.append(list(line.split(":", 1)))
    pairs = [[urllib.parse.unquote(side) for side in item.partition("=")[::2]] for item in query.split("&") if item] if mark else []
    return method, path, pairs, headers, body


def asked(text, context):
    method, path, query, headers, body = parse(text)
    who = context["credentials"]
    return {"method": method, "path": path, "query": query, "headers": headers, "hash": hashlib.sha256(body.encode()).hexdigest(),
            "region": context["region"], "service": context["service"], "access": who["access_key_id"], "secret": who["secret_access_key"],
            "token": who.get("token", ""), "now": calendar.timegm(time.strptime(context["timestamp"], "%Y-%m-%dT%H:%M:%SZ")),
            "keep": not context["normalize"]}


def by_headers(peer, case, context):
    request = asked(read(case, "request.txt"), context)
    stamp = context["timestamp"].replace("-", "").replace(":", "")
    request["headers"].append(["X-Amz-Date", stamp])
    if request["token"] and not context.get("omit_session_token"):
        request["headers"].append(["X-Amz-Security-Token", request["token"]])
    if context["sign_body"]:
        request["headers"].append(["x-amz-content-sha256", request["hash"]])
    made = peer.ask("sign", **request)
    [authorization] = [line.partition(":")[2].strip() for line in read(case, "header-signed-request.txt").split("\n")
                       if line.startswith("Authorization:")]
    return [(name, made[key], read(case, "header-" + name + ".txt")) for name, key in
            (("canonical-request", "canonical"), ("string-to-sign", "string"), ("signature", "signature"))] + [
        ("authorization", made["authorization"], authorization)]


def by_url(peer, case, context):
    request = asked(read(case, "request.txt"), context)
    if context.get("omit_session_token"):
        request["token"] = ""
    url = peer.ask("presign", base="", expires=context["expiration_in_seconds"], **request)["url"]
    return [("signature", url.rsplit("&X-Amz-Signature=", 1)[1], read(case, "query-signature.txt"))]


OLDER = {"region": "us-east-1", "service": "service", "timestamp": "2015-08-30T12:36:00Z", "normalize": True,
         "credentials": {"access_key_id": "AKIDEXAMPLE", "secret_access_key": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"}}


def by_older(peer, case, name):
    """The headers to sign are those of the signed request that its Authorization names."""
    files = {end: read(case, f"{name}.{end}") for end in ("req", "creq", "sts", "authz", "sreq")}
    request = asked(files["req"], OLDER)
    names = files["authz"].partition("SignedHeaders=")[2].partition(",")[0].split(";")
    request["headers"] = [h for h in parse(files["sreq"])[3] if h[0].lower() in names]
    made = peer.ask("sign", **request)
    return [("canonical request", made["canonical"], files["creq"]), ("string to sign", made["string"], files["sts"]),
            ("authorization", made["authorization"], files["authz"])]


def cases(peer, suite):
    """(name, [(what, ours, the suite's)]) of every case."""
    for directory, _, files in sorted(os.walk(suite)):
        name = os.path.basename(directory)
        if "context.json" in files:
            context = json.loads(read(directory, "context.json"))
            for way in (by_headers, by_url):
                yield f"{name}, {way.__name__}", way(peer, directory, context)
        elif name + ".req" in files:
            yield name, by_older(peer, directory, name)


def run(peer, suite):
    """How many cases there are, and what is wrong, in words."""
    count, wrong = 0, []
    for name, results in cases(peer, suite):
        count += 1
        wrong += [f"{name}, {what}:\n--- ours\n{got}\n--- the suite's\n{wanted}" for what, got, wanted in results if got != wanted.strip("\n")][:1]
    return count, wrong


def main():
    suite = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("AF_SIGV4_DIR", "")
    if not os.path.isdir(suite):
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory() as scratch:
        peer = aws_peer.Peer(scratch)
        count, wrong = run(peer, suite)
        peer.close()
    print("\n".join(wrong + [f"{count - len(wrong)} passed, {len(wrong)} failed"]))
    return count == 0 or wrong != []


if __name__ == "__main__":
    sys.exit(main())
