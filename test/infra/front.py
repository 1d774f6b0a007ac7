"""What stands between Terraform and the stand-ins of AWS: one address for everything.

    terraform -> front -> moto             what moto knows, passed through as it came
                       -> plane            Timestream for InfluxDB (test/lib/tfi_plane.py)
                       -> here             what moto does not know: composite alarms, who may use a dead-letter queue, how a REST API's
                                           policy is written, budgets and anomalies (front_costs.py)

Composite alarms speak CloudWatch's query protocol (forms in, XML out), which is what the provider sends. `functions` may be set to what
runs Lambda's functions: answer(method, path, body) -> (status, headers, body), or None where moto is to answer. `spy` may be set to what
is told of every request twice: spy("before", text), and spy("after", text) when it is done but not yet answered.
"""
import http.client
import http.server
import json
import threading
import urllib.parse
from xml.sax.saxutils import escape

from front_costs import Budgets, Costs, Refused

HOP = {"connection", "transfer-encoding", "keep-alive", "content-length"}


class Alarms:
    """Composite alarms by name, as CloudWatch keeps them."""

    def __init__(self):
        self.kept = {}

    def put(self, form):
        name = form["AlarmName"][0]
        arn = f"arn:aws:cloudwatch:us-east-1:123456789012:alarm:{name}"
        self.kept[name] = {"AlarmArn": arn, **{key: value[0] for key, value in form.items() if key not in ("Action", "Version")}}
        return "<PutCompositeAlarmResponse><ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></PutCompositeAlarmResponse>"

    def describe(self, names):
        found = [self.kept[name] for name in names if name in self.kept]
        members = "".join(f"<member>{self.print(alarm)}</member>" for alarm in found)
        return ("<DescribeAlarmsResponse><DescribeAlarmsResult><MetricAlarms/>"
                f"<CompositeAlarms>{members}</CompositeAlarms></DescribeAlarmsResult></DescribeAlarmsResponse>")

    def print(self, alarm):
        lists = {"AlarmActions": [], "OKActions": [], "InsufficientDataActions": []}
        out = []
        for key, value in alarm.items():
            head, _, tail = key.partition(".member.")
            if head in lists:
                lists[head].append(value)
            elif not tail:
                out.append(f"<{key}>{escape(value)}</{key}>")
        out += [f"<{key}>{''.join(f'<member>{escape(v)}</member>' for v in values)}</{key}>" for key, values in lists.items()]
        return "".join(out) + "<StateValue>OK</StateValue>"

    def tags(self, arn):
        alarm = next((a for a in self.kept.values() if a["AlarmArn"] == arn), {})
        pairs = [(alarm[key], alarm[key[:-4] + ".Value"]) for key in alarm if key.startswith("Tags.member.") and key.endswith(".Key")]
        return ("<ListTagsForResourceResponse><ListTagsForResourceResult><Tags>"
                + "".join(f"<member><Key>{escape(k)}</Key><Value>{escape(v)}</Value></member>" for k, v in pairs)
                + "</Tags></ListTagsForResourceResult></ListTagsForResourceResponse>")

    def answer(self, form):
        """The answer to a form, or None: it is moto's."""
        action = form.get("Action", [""])[0]
        names = [form[key][0] for key in sorted(form) if key.startswith("AlarmNames.member.")]
        if action == "PutCompositeAlarm":
            return self.put(form)
        if action == "DescribeAlarms" and any(name in self.kept for name in names):
            return self.describe(names)
        if action == "DescribeAlarms" and form.get("AlarmTypes.member.1") == ["CompositeAlarm"]:
            return self.describe(names)
        if action == "DeleteAlarms" and names and all(name in self.kept for name in names):
            for name in names:
                del self.kept[name]
            return "<DeleteAlarmsResponse/>"
        if action == "ListTagsForResource" and any(a["AlarmArn"] == form.get("ResourceARN", [""])[0] for a in self.kept.values()):
            return self.tags(form["ResourceARN"][0])
        return None


class Queues:
    """The attribute RedriveAllowPolicy, which moto does not know, and RedrivePolicy as AWS writes it: without blanks."""
    NAME = "RedriveAllowPolicy"

    def __init__(self):
        self.kept = {}

    def answer(self, target, body):
        """(the answer or None: it is moto's, the body that moto is to see)"""
        said = json.loads(body)
        queue, attributes, names = said.get("QueueUrl"), said.get("Attributes", {}), said.get("AttributeNames", [])
        if target == "AmazonSQS.SetQueueAttributes" and self.NAME in attributes:
            self.kept[queue] = attributes.pop(self.NAME)
            return (None if attributes else {}), json.dumps(said).encode()
        if target == "AmazonSQS.GetQueueAttributes" and names == [self.NAME]:
            return {"Attributes": {self.NAME: self.kept[queue]} if self.kept.get(queue) else {}}, body
        return None, body

    def complete(self, target, body, answer):
        """moto's answer to a question for attributes."""
        if target != "AmazonSQS.GetQueueAttributes":
            return answer
        said, policy = json.loads(answer), self.kept.get(json.loads(body).get("QueueUrl"))
        attributes = said.setdefault("Attributes", {})
        if policy:
            attributes[self.NAME] = policy
        if "RedrivePolicy" in attributes:
            attributes["RedrivePolicy"] = json.dumps(json.loads(attributes["RedrivePolicy"]), separators=(",", ":"))
        return json.dumps(said).encode()


class RestApis:
    """The policy of a REST API: AWS answers with its quotes escaped once more than JSON needs, which the provider undoes; moto does not."""

    @staticmethod
    def complete(path, answer):
        if not path.split("?")[0].startswith("/restapis") or b'"policy"' not in answer:
            return answer
        said = json.loads(answer)
        for api in said.get("item", [said]):
            if api.get("policy"):
                api["policy"] = json.dumps(api["policy"])[1:-1]
        return json.dumps(said).encode()


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, *_):  # a client that went away
        pass


class Front:
    """Listens on a free loopback port until it is closed. `plane`: base URL of the control plane, or None."""

    def __init__(self, moto, plane=None):
        self.moto, self.plane, self.functions, self.spy, self.lock = moto, plane, None, None, threading.Lock()
        self.alarms, self.queues, self.apis, self.budgets, self.costs = Alarms(), Queues(), RestApis(), Budgets(), Costs()
        self.server = Server(("127.0.0.1", 0), self.handler())
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def handler(front):
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def body(self):
                if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
                    out = b""
                    while (size := int(self.rfile.readline().split(b";")[0], 16)) > 0:
                        out += self.rfile.read(size)
                        self.rfile.readline()
                    self.rfile.readline()
                    return out
                return self.rfile.read(int(self.headers.get("Content-Length") or 0))

            def send(self, status, headers, body):
                self.send_response(status)
                for key, value in headers:
                    if key.lower() not in HOP:
                        self.send_header(key, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            def pass_on(self, base, body):
                peer = urllib.parse.urlsplit(base)
                link = http.client.HTTPConnection(peer.hostname, peer.port, timeout=300)
                headers = {key: value for key, value in self.headers.items() if key.lower() not in HOP}
                headers["Content-Length"] = str(len(body))
                link.request(self.command, self.path, body=body, headers=headers)
                answer = link.getresponse()
                said, target = answer.read(), self.headers.get("X-Amz-Target", "")
                self.tell("after", body)
                if answer.status >= 500 and base == front.moto:  # it lacks this: Terraform is to say so now, not after ten minutes of tries
                    return self.send(400, [("Content-Type", "application/json")], json.dumps(
                        {"__type": "MissingInStandIn", "message": f"moto: {self.command} {self.path} {target} {said[:300]!r}"}).encode())
                if answer.status // 100 == 2:
                    said = front.apis.complete(self.path, front.queues.complete(target, body, said))
                self.send(answer.status, answer.getheaders(), said)
                link.close()

            def answer_json(self, service, target, said):
                kind = [("Content-Type", "application/x-amz-json-1.1")]
                try:
                    with front.lock:
                        out = service.answer(target, said)
                except Refused as e:
                    return self.send(400, kind, json.dumps({"__type": e.name, "message": e.message}).encode())
                if out is None:
                    return self.pass_on(front.moto, json.dumps(said).encode())
                return self.send(200, kind, json.dumps(out).encode())

            def tell(self, when, body):
                if front.spy:
                    target = self.headers.get("X-Amz-Target", "")
                    front.spy(when, f"{self.command} {self.path} {target} {body[:2000].decode(errors='replace')}")

            def handle_any(self):
                body = self.body()
                self.tell("before", body)
                target = self.headers.get("X-Amz-Target", "")
                if target.startswith("AmazonTimestreamInfluxDB.") and front.plane:
                    return self.pass_on(front.plane, body)
                if target.startswith("AmazonSQS."):
                    with front.lock:
                        said, body = front.queues.answer(target, body)
                    if said is not None:
                        return self.send(200, [("Content-Type", "application/x-amz-json-1.0")], json.dumps(said).encode())
                for service in (front.budgets, front.costs):
                    if target.startswith(service.TARGET + "."):
                        return self.answer_json(service, target, json.loads(body))
                if front.functions and (said := front.functions.answer(self.command, self.path, body)) is not None:
                    return self.send(*said)
                if self.headers.get("Content-Type", "").startswith("application/x-www-form-urlencoded"):
                    with front.lock:
                        said = front.alarms.answer(urllib.parse.parse_qs(body.decode(), keep_blank_values=True))
                    if said is not None:
                        return self.send(200, [("Content-Type", "text/xml")], said.encode())
                return self.pass_on(front.moto, body)

            def handle_all(self):
                try:
                    self.handle_any()
                except (ConnectionError, http.client.HTTPException):  # who is behind hung up, and so do we
                    self.close_connection = True

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = do_PATCH = do_OPTIONS = handle_all

        return Handler
