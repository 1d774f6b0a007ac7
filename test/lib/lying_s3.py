"""S3 as far as objects are read: lists, and ranges of an object. What it does wrong stands in the key's first word. Standard library only.

    s3 = LyingS3()
    s3.put("good/a.lp", "SE")           100 points of one region; a key without one of LIES in front is answered as it should be
    s3.asked                            keys that were asked for, bytes, in order
"""
import http.server
import re
import threading
import urllib.parse


class LyingS3:
    LIES = ("short", "long", "cut", "huge", "negative", "words", "grown", "moved", "changed", "without")

    def __init__(self):
        self.objects, self.asked = {}, []
        fake = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version, wbufsize = "HTTP/1.1", -1

            def log_message(self, *args):
                pass

            def answer(self, status, length, body=b"", **headers):
                self.send_response(status)
                self.send_header("Content-Length", length)
                for name, value in headers.items():
                    self.send_header(name.replace("_", "-"), value)
                self.end_headers()
                self.wfile.write(body)
                self.wfile.flush()

            def list(self, query):
                wanted = urllib.parse.parse_qs(query, keep_blank_values=True, encoding="latin-1")
                assert wanted.get("encoding-type") == ["url"], query
                found = ""
                for key in sorted(fake.objects):
                    if key.startswith(wanted.get("prefix", [""])[0].encode("latin-1")):
                        size = len(fake.objects[key])
                        size = {"huge": 1 << 62, "negative": -5, "words": "many", "grown": size + 1000}.get(fake.lie(key), size)
                        found += (f"<Contents><Key>{urllib.parse.quote(key)}</Key><LastModified>2026-11-25T10:00:00.000Z</LastModified>"
                                  f"<ETag>&quot;e&quot;</ETag><Size>{size}</Size></Contents>")
                body = (f"<ListBucketResult><Name>bucket</Name><EncodingType>url</EncodingType><IsTruncated>false</IsTruncated>{found}"
                        "</ListBucketResult>").encode()
                self.answer(200, str(len(body)), body, Content_Type="application/xml")

            def do_GET(self):
                path, _, query = self.path.partition("?")
                if path.count("/") == 1 or path.endswith("/") and path.count("/") == 2:
                    return self.list(query)
                key = urllib.parse.unquote_to_bytes(path.split("/", 2)[2])
                fake.asked.append(key)
                if key not in fake.objects:
                    return self.answer(404, "0")
                body, lie = fake.objects[key], fake.lie(key)
                asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range") or f"bytes=0-{len(body)}")
                first, end = int(asked[1]), min(int(asked[2]) + 1, len(body))
                part, total = body[first:end], len(body)
                said = f"bytes {first}-{end - 1}/{total}"
                if lie == "short":
                    part = part[:len(part) // 2]
                elif lie == "long":
                    part += b"load,region=XX mw=1 1\n"
                elif lie == "moved":
                    said = f"bytes {first + 10}-{end + 9}/{total}"
                elif lie == "without":
                    said = "bytes */*"
                if lie == "cut":
                    self.answer(206, str(len(part)), part[:len(part) // 2], Content_Range=said, ETag='"e"')
                    self.close_connection = True
                else:
                    self.answer(206, str(len(part)), part, Content_Range=said, ETag='"f"' if lie == "changed" else '"e"')

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *args: None
        self.url = "http://127.0.0.1:%d" % self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @staticmethod
    def lie(key):
        return key.split(b"/")[0].decode(errors="replace")

    def put(self, key, region, lines=100):
        key = key.encode() if isinstance(key, str) else key
        self.objects[key] = b"".join(b"load,region=%s mw=%d.5 %d\n" % (region.encode(), i, i + 1) for i in range(lines))

    def close(self):
        self.server.shutdown()
        self.server.server_close()
