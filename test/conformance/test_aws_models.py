"""Every call of src/aws beside the same call of botocore: what goes over the wire is the same.

A recording server on the loopback takes the place of every service. The same credentials, region and arguments are given to aws_calls (our
library in a program) and to a boto3 client; method, path, query, target, content type and body (as JSON, form or XML) must be equal, our
signed headers must contain botocore's, and our signature must be the one that botocore's own signer makes of our request. The operations of
Timestream for InfluxDB and what they require are compared with botocore's model too.
"""
import datetime
import gzip
import http.server
import json
import os
import re
import sys
import tempfile
import threading
import unittest
import urllib.parse
import xml.etree.ElementTree

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "test", "e2e"))
import aws_program  # noqa: E402
import lib  # noqa: E402
import boto3  # noqa: E402
import botocore  # noqa: E402
import botocore.auth  # noqa: E402
import botocore.awsrequest  # noqa: E402
import botocore.config  # noqa: E402
import botocore.credentials  # noqa: E402
import botocore.exceptions  # noqa: E402
import botocore.loaders  # noqa: E402
import botocore.model  # noqa: E402

ACCESS, SECRET, TOKEN, REGION = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "session/token==", "eu-west-1"
KEY32 = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

# What a service would answer, by target or action: enough for both sides to be content.
ANSWERS = {
    "SendMessage": {"MessageId": "m"},
    "ReceiveMessage": {},
    "GetQueueUrl": {"QueueUrl": "http://q/1/jobs"},
    "GetQueueAttributes": {"Attributes": {"ApproximateNumberOfMessages": "1"}},
    "SendMessageBatch": {"Successful": [{"Id": str(i), "MessageId": "m"} for i in range(3)], "Failed": []},
    "GetSecretValue": {"Name": "n", "VersionId": "v", "SecretString": "s"},
    "PutSecretValue": {"VersionId": "v"},
    "GenerateDataKey": {"CiphertextBlob": "AQID", "Plaintext": KEY32, "KeyId": "k"},
    "Decrypt": {"Plaintext": KEY32, "KeyId": "k"},
    "DescribeKey": {"KeyMetadata": {"KeyId": "k", "KeyState": "Enabled"}},
    "ListMetrics": {"Metrics": []},
    "GetMetricData": {"MetricDataResults": []},
    "GetCostAndUsage": {"ResultsByTime": []},
    "GetCostForecast": {"Total": {"Amount": "1", "Unit": "USD"}},
    "GetDimensionValues": {"DimensionValues": [], "ReturnSize": 0, "TotalSize": 0},
    "converse": {"output": {"message": {"role": "assistant", "content": [{"text": "Hello"}]}}, "stopReason": "end_turn",
                 "usage": {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2}, "metrics": {"latencyMs": 1}},
    "invoke": {"embedding": [0.0, 1.0, 2.0]},
}
CREDENTIALS = ("<Credentials><AccessKeyId>ASIA</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>"
               "<Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>")
FORMS = {
    "Publish": "<MessageId>m</MessageId>",
    "GetCallerIdentity": "<Account>1</Account><Arn>arn:aws:iam::1:user/u</Arn><UserId>U</UserId>",
    "AssumeRole": CREDENTIALS,
    "AssumeRoleWithWebIdentity": CREDENTIALS,
}


class Request:
    def __init__(self, method, target, headers, body):
        self.method, self.target, self.body = method, target, body
        self.headers = {k.lower(): v for k, v in headers.items()}
        self.path, _, query = target.partition("?")
        self.query = sorted(urllib.parse.parse_qsl(query, keep_blank_values=True))

    @property
    def plain(self):
        return gzip.decompress(self.body) if self.headers.get("content-encoding") == "gzip" else self.body

    @property
    def meaning(self):
        """The body as what it says, so that the order of members and the spelling of escapes do not count."""
        kind = self.headers.get("content-type", "")
        if not self.body:
            return None
        if "json" in kind:
            return json.loads(self.plain)
        if "form" in kind:
            return sorted(urllib.parse.parse_qsl(self.plain.decode(), keep_blank_values=True))
        if self.plain.startswith(b"<"):
            return tree(xml.etree.ElementTree.fromstring(self.plain))
        return self.plain

    @property
    def signed(self):
        found = re.search(r"SignedHeaders=([^,]+)", self.headers.get("authorization", ""))
        return set(found.group(1).split(";")) if found else set()

    @property
    def amazon(self):
        """Headers of the operation itself."""
        others = "range", "if-match", "if-none-match", "content-encoding"
        ours = {k: v for k, v in self.headers.items() if k.startswith("x-amz-") or k in others}
        for own in ("x-amz-date", "x-amz-content-sha256", "x-amz-security-token", "x-amz-user-agent"):
            ours.pop(own, None)
        return ours


def tree(element):
    return (element.tag.split("}")[-1], (element.text or "").strip(), sorted(tree(child) for child in element))


class Recorder:
    """Takes the place of every service: keeps what is asked and answers from the tables above."""

    def __init__(self):
        self.requests = []
        recorder = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args):
                pass

            def answer(self):
                if self.headers.get("Transfer-Encoding") == "chunked":
                    body = b""
                    while True:
                        size = int(self.rfile.readline().split(b";")[0], 16)
                        body += self.rfile.read(size)
                        self.rfile.readline()
                        if size == 0:
                            break
                else:
                    body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                request = Request(self.command, self.path, self.headers, body)
                recorder.requests.append(request)
                status, headers, text = recorder.reply(request)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                if "Content-Length" not in headers:
                    self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(text)

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = answer

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *args):
                pass  # a client that has its answer may go as it likes

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def reply(self, request):
        kind = request.headers.get("content-type", "")
        target = request.headers.get("x-amz-target", "")
        if target or request.path.startswith("/model/"):
            name = target.split(".")[-1] or request.path.rsplit("/", 1)[-1]
            if name == "DescribeEndpoints":
                text = {"Endpoints": [{"Address": self.url, "CachePeriodInMinutes": 10}]}
            elif name.startswith("Get") and "InfluxDB" in target:
                text = {"id": "i", "name": "n", "arn": "a", "status": "AVAILABLE"}
            else:
                text = ANSWERS.get(name, {})
            return 200, {"Content-Type": kind or "application/json"}, json.dumps(text).encode()
        if "form" in kind:
            action = dict(urllib.parse.parse_qsl(request.plain.decode()))["Action"]
            result = f"<{action}Result>{FORMS[action]}</{action}Result>"
            return 200, {"Content-Type": "text/xml"}, f"<{action}Response>{result}</{action}Response>".encode()
        return self.reply_s3(request)

    @staticmethod
    def reply_s3(request):
        query = dict(request.query)
        headers = {"ETag": '"e1"', "Last-Modified": "Tue, 14 Nov 2023 22:13:20 GMT"}
        if request.method == "HEAD":
            return 200, {**headers, "Content-Length": "12000000"}, b""
        if request.method == "GET" and "list-type" in query:
            return 200, {}, b"<ListBucketResult><KeyCount>0</KeyCount><IsTruncated>false</IsTruncated></ListBucketResult>"
        if request.method == "GET" and "range" in request.headers:
            first, last = map(int, re.fullmatch(r"bytes=(\d+)-(\d+)", request.headers["range"]).groups())
            return 206, {**headers, "Content-Range": f"bytes {first}-{last}/12000000"}, b"x" * (last - first + 1)
        if request.method == "GET":
            return 200, headers, b"hello"
        if request.method == "POST" and "uploads" in query:
            return 200, {}, b"<InitiateMultipartUploadResult><UploadId>u-1</UploadId></InitiateMultipartUploadResult>"
        if request.method == "POST":
            return 200, {}, b'<CompleteMultipartUploadResult><ETag>"e1"</ETag></CompleteMultipartUploadResult>'
        return 204 if request.method == "DELETE" else 200, headers, b""

    def take(self):
        taken, self.requests = self.requests, []
        return taken

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def setUpModule():
    global recorder, program
    directory = tempfile.TemporaryDirectory(prefix="afluxo-calls-")
    unittest.addModuleCleanup(directory.cleanup)
    program = aws_program.build(directory.name)
    # CloudWatch offers three protocols and botocore takes the first that it knows: ours is JSON.
    recorder = Recorder()
    unittest.addModuleCleanup(recorder.close)
    botocore.model.PRIORITY_ORDERED_SUPPORTED_PROTOCOLS = ("json", "rest-json", "rest-xml", "query", "ec2")


recorder = program = None  # set by setUpModule
clients = {}  # making one takes botocore a while


class Case(lib.Case):
    def setUp(self):
        super().setUp()
        self.recorder = recorder
        recorder.take()

    def environment(self, token=False, **more):
        env = {k: v for k, v in lib.environment().items() if not k.startswith("AWS_")}
        env.update(AWS_ACCESS_KEY_ID=ACCESS, AWS_SECRET_ACCESS_KEY=SECRET, AWS_REGION=REGION, AWS_ENDPOINT_URL=self.recorder.url,
                   AWS_CONFIG_FILE="/nonexistent", AWS_SHARED_CREDENTIALS_FILE="/nonexistent", AWS_EC2_METADATA_DISABLED="true", **more)
        if token:
            env["AWS_SESSION_TOKEN"] = TOKEN
        return env

    def ours(self, *args, **env):
        self.output = aws_program.run(program, *args, env=self.environment(**env))
        requests = self.recorder.take()
        for request in requests:
            self.check_signature(request)
        return requests

    def client(self, service, **config):
        key = service, repr(config)
        if key not in clients:
            clients[key] = boto3.session.Session().client(
                service, region_name=REGION, endpoint_url=self.recorder.url, aws_access_key_id=ACCESS, aws_secret_access_key=SECRET,
                config=botocore.config.Config(retries={"max_attempts": 0}, **config))
        return clients[key]

    def theirs(self, service, operation, _config=None, **arguments):
        getattr(self.client(service, **(_config or {})), operation)(**arguments)
        return self.recorder.take()

    def check_signature(self, request):
        """Ours is what botocore's signer makes of the same request at the same moment."""
        header = request.headers.get("authorization")
        if header is None:
            return
        credential = re.search(r"Credential=[^/]+/\d+/([^/]+)/([^/]+)/aws4_request", header)
        region, service = credential.groups()
        is_s3 = service == "s3"
        moment = datetime.datetime.strptime(request.headers["x-amz-date"], "%Y%m%dT%H%M%SZ")
        credentials = botocore.credentials.Credentials(ACCESS, SECRET, request.headers.get("x-amz-security-token"))
        signer = (botocore.auth.S3SigV4Auth if is_s3 else botocore.auth.SigV4Auth)(credentials, service, region)
        again = botocore.awsrequest.AWSRequest(request.method, "http://" + request.headers["host"] + request.target,
                                               headers={k: v for k, v in request.headers.items() if k in request.signed}, data=request.body)
        again.context["timestamp"] = request.headers["x-amz-date"]
        self.assertLess(abs((datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None) - moment).total_seconds()), 300)
        canonical = self.canonical_request(signer, again, request)
        text = signer.string_to_sign(again, canonical)
        self.assertEqual(re.search("Signature=([0-9a-f]+)", header).group(1), signer.signature(text, again), canonical)

    @staticmethod
    def canonical_request(signer, again, request):
        headers = signer.headers_to_sign(again)
        for name in list(headers.keys()):
            if name not in request.signed:
                del headers[name]
        body_hash = request.headers.get("x-amz-content-sha256") or signer.payload(again)
        path = signer._normalize_url_path(urllib.parse.urlsplit(again.url).path)
        query = "&".join(f"{k}={v}" for k, v in sorted((urllib.parse.quote(k, safe="-_.~"), urllib.parse.quote(v, safe="-_.~"))
                                                       for k, v in urllib.parse.parse_qsl(urllib.parse.urlsplit(again.url).query,
                                                                                          keep_blank_values=True)))
        return "\n".join([request.method, path, query, signer.canonical_headers(headers) + "\n", signer.signed_headers(headers), body_hash])

    def same(self, ours, theirs, without=(), leave=()):
        self.assertEqual([(r.method, r.path) for r in ours], [(r.method, r.path) for r in theirs])
        for a, b in zip(ours, theirs):
            self.assertEqual([q for q in a.query if q[0] not in ("x-id",)], [q for q in b.query if q[0] not in ("x-id",)])
            self.assertEqual(a.meaning, b.meaning)
            if "content-type" in b.headers:
                self.assertEqual(a.headers.get("content-type", "").split(";")[0], b.headers["content-type"].split(";")[0])
            mine, others = a.amazon, b.amazon
            for name in leave:
                mine.pop(name, None)
                others.pop(name, None)
            self.assertEqual(mine, others)
            # X-Amzn-Query-Mode asks for the error codes of SQS's and CloudWatch's older protocol, which nobody here knows.
            missing = b.signed - a.signed - {"x-amzn-query-mode"} - set(without)
            self.assertEqual(missing, set())

    def check(self, call, service, operation, _env=None, _config=None, **arguments):
        ours = self.ours(*call, **(_env or {}))
        self.same(ours, self.theirs(service, operation, _config, **arguments))
        return ours


class Queues(Case):
    def setUp(self):
        super().setUp()
        self.queue = self.recorder.url + "/123456789012/jobs"

    def test_url(self):
        self.check(["sqs-url", "jobs"], "sqs", "get_queue_url", QueueName="jobs")
        self.check(["sqs-url", "arn:aws:sqs:eu-west-1:42:jobs"], "sqs", "get_queue_url", QueueName="jobs", QueueOwnerAWSAccountId="42")

    def test_send(self):
        body = 'a "b" \\ café \U0001f600 \t\n end'
        reason = {"Reason": {"DataType": "String", "StringValue": "why é"}}
        self.check(["sqs-send", self.queue, body], "sqs", "send_message", QueueUrl=self.queue, MessageBody=body)
        self.check(["sqs-send", self.queue, body, "why é", 7], "sqs", "send_message", QueueUrl=self.queue, MessageBody=body, DelaySeconds=7,
                   MessageAttributes=reason)

    def test_send_to_a_fifo_queue(self):
        fifo = self.queue + ".fifo"
        self.check(["sqs-send", fifo, "b", "", 0, "g-1", "d/2"], "sqs", "send_message", QueueUrl=fifo, MessageBody="b", MessageGroupId="g-1",
                   MessageDeduplicationId="d/2")
        made = [self.ours("sqs-send", fifo, "b")[0].meaning for _ in range(2)]
        ids = {m[name] for m in made for name in ("MessageGroupId", "MessageDeduplicationId")}
        self.assertEqual((len(ids), {len(i) for i in ids}), (2, {34}))  # a group of its own each
        entries = self.ours("sqs-batch", fifo, 0, 3)[0].meaning["Entries"]
        self.assertEqual(len({e["MessageDeduplicationId"] for e in entries} | ids), 5)
        for entry in entries:
            entry.pop("MessageGroupId"), entry.pop("MessageDeduplicationId")
        self.assertEqual(entries, [{"Id": str(i), "MessageBody": f"message {i}"} for i in range(3)])

    def test_batch(self):
        self.check(["sqs-batch", self.queue, 5, 3], "sqs", "send_message_batch", QueueUrl=self.queue,
                   Entries=[{"Id": str(i), "MessageBody": f"message {i + 5}"} for i in range(3)])

    def test_receive(self):
        self.check(["sqs-receive", self.queue, 10, 0, 300], "sqs", "receive_message", QueueUrl=self.queue, MaxNumberOfMessages=10,
                   WaitTimeSeconds=0, VisibilityTimeout=300, MessageAttributeNames=["Reason"],
                   MessageSystemAttributeNames=["ApproximateReceiveCount", "SentTimestamp"])

    def test_delete_and_visibility(self):
        self.check(["sqs-delete", self.queue, "r+/="], "sqs", "delete_message", QueueUrl=self.queue, ReceiptHandle="r+/=")
        self.check(["sqs-visibility", self.queue, "r", 0], "sqs", "change_message_visibility", QueueUrl=self.queue, ReceiptHandle="r",
                   VisibilityTimeout=0)

    def test_depth(self):
        self.check(["sqs-depth", self.queue], "sqs", "get_queue_attributes", QueueUrl=self.queue,
                   AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed",
                                   "VisibilityTimeout", "RedrivePolicy"])

    def test_session_token_is_signed(self):
        request = self.ours("sqs-url", "jobs", token=True)[0]
        self.assertEqual(request.headers["x-amz-security-token"], TOKEN)
        self.assertIn("x-amz-security-token", request.signed)


class Secrets(Case):
    def test_get(self):
        self.check(["secret-get", "arn:aws:secretsmanager:eu-west-1:1:secret:db-x"], "secretsmanager", "get_secret_value",
                   SecretId="arn:aws:secretsmanager:eu-west-1:1:secret:db-x")

    def test_put(self):
        token = "0123456789abcdef0123456789abcdef"
        self.check(["secret-put", "db", '{"token":"é"}', token], "secretsmanager", "put_secret_value", SecretId="db",
                   SecretString='{"token":"é"}', ClientRequestToken=token)


class Metrics(Case):
    dimensions = [{"Name": "Function", "Value": "loader"}, {"Name": "Stage", "Value": 'café "x"'}]
    now = 1700000000

    def metrics(self, n):
        moment = datetime.datetime.fromtimestamp(self.now, datetime.timezone.utc)
        return [{"MetricName": f"m{i}", "Dimensions": self.dimensions, "Timestamp": moment, "Value": i + 0.5,
                 **({"Unit": "Milliseconds"} if i % 2 == 0 else {})} for i in range(n)]

    def test_put(self):
        self.check(["metric-put", "Afluxo", 3, self.now], "cloudwatch", "put_metric_data", Namespace="Afluxo", MetricData=self.metrics(3))

    def test_put_compressed(self):
        ours = self.check(["metric-put", "Afluxo", 500, self.now], "cloudwatch", "put_metric_data", Namespace="Afluxo", MetricData=self.metrics(500))
        self.assertEqual(ours[0].headers["content-encoding"], "gzip")

    def test_get(self):
        def moment(s):
            return datetime.datetime.fromtimestamp(s, datetime.timezone.utc)
        metric = {"Namespace": "Afluxo", "MetricName": "m0", "Dimensions": self.dimensions}
        self.check(["metric-get", "Afluxo", "m0", "p99", self.now, self.now + 3600], "cloudwatch", "get_metric_data",
                   MetricDataQueries=[{"Id": "q", "MetricStat": {"Metric": metric, "Period": 60, "Stat": "p99"}, "ReturnData": True}],
                   StartTime=moment(self.now), EndTime=moment(self.now + 3600), ScanBy="TimestampAscending")

    def test_exists(self):
        self.check(["metric-exists", "AWS/Timestream/InfluxDB", "DbInstanceName"], "cloudwatch", "list_metrics",
                   Namespace="AWS/Timestream/InfluxDB", Dimensions=[{"Name": "DbInstanceName"}])


class Costs(Case):
    period = {"Start": "2026-10-01", "End": "2026-11-26"}
    tag = {"Tags": {"Key": "projé", "Values": ['af"luxo']}}

    def test_usage(self):
        ours = self.check(["ce-usage", "2026-10-01", "2026-11-26", "MONTHLY", "projé", 'af"luxo', "SERVICE", "USAGE_TYPE"], "ce",
                          "get_cost_and_usage", TimePeriod=self.period, Granularity="MONTHLY", Filter=self.tag,
                          Metrics=["UnblendedCost", "UsageQuantity"],
                          GroupBy=[{"Type": "DIMENSION", "Key": "SERVICE"}, {"Type": "DIMENSION", "Key": "USAGE_TYPE"}])
        self.assertIn("/us-east-1/ce/aws4_request", ours[0].headers["authorization"])
        self.check(["ce-usage", "2026-10-01", "2026-11-26", "DAILY"], "ce", "get_cost_and_usage", TimePeriod=self.period, Granularity="DAILY",
                   Metrics=["UnblendedCost", "UsageQuantity"])

    def test_forecast(self):
        self.check(["ce-forecast", "2026-10-01", "2026-11-26", "DAILY", "projé", 'af"luxo'], "ce", "get_cost_forecast",
                   TimePeriod=self.period, Metric="UNBLENDED_COST", Granularity="DAILY", Filter=self.tag)

    def test_values(self):
        self.check(["ce-values", "SERVICE", "2026-10-01", "2026-11-26"], "ce", "get_dimension_values", TimePeriod=self.period,
                   Dimension="SERVICE")


class KeysTopicsRoles(Case):
    def test_kms(self):
        self.check(["kms-make", "alias/data"], "kms", "generate_data_key", KeyId="alias/data", KeySpec="AES_256")
        self.check(["kms-make", "alias/data", '{"file":"é","b":"c"}'], "kms", "generate_data_key", KeyId="alias/data", KeySpec="AES_256",
                   EncryptionContext={"file": "é", "b": "c"})
        self.check(["kms-open", '{"file":"é"}'], "kms", "decrypt", CiphertextBlob=b"\1\2\3", EncryptionContext={"file": "é"})
        self.check(["kms-state", "alias/data"], "kms", "describe_key", KeyId="alias/data")

    def test_sns(self):
        topic = "arn:aws:sns:eu-west-1:1:alarms"
        self.check(["sns", topic, "", "a&b=c +é~"], "sns", "publish", TopicArn=topic, Message="a&b=c +é~")
        self.check(["sns", topic, "Down: x", "m"], "sns", "publish", TopicArn=topic, Message="m", Subject="Down: x")

    def test_sts(self):
        role = "arn:aws:iam::1:role/loader"
        self.check(["sts-identity"], "sts", "get_caller_identity")
        self.check(["sts-assume", role, "me", "ext", 900], "sts", "assume_role", RoleArn=role, RoleSessionName="me", ExternalId="ext",
                   DurationSeconds=900)
        self.check(["sts-assume", role, "me"], "sts", "assume_role", RoleArn=role, RoleSessionName="me")

    def test_sts_with_a_web_identity_is_not_signed(self):
        ours = self.check(["sts-web", "arn:aws:iam::1:role/loader", "me", "eyJ.t"], "sts", "assume_role_with_web_identity",
                          RoleArn="arn:aws:iam::1:role/loader", RoleSessionName="me", WebIdentityToken="eyJ.t")
        self.assertNotIn("authorization", ours[0].headers)


class LiveAnalytics(Case):
    def check_call(self, service, operation, method, **arguments):
        self.check(["timestream", service, operation, json.dumps(arguments)], service, method, **arguments)

    def test_write(self):
        self.check_call("timestream-write", "ListDatabases", "list_databases", MaxResults=20)
        self.check_call("timestream-write", "ListTables", "list_tables", DatabaseName="ons")
        self.check_call("timestream-write", "DescribeTable", "describe_table", DatabaseName="ons", TableName="load")
        self.check_call("timestream-write", "WriteRecords", "write_records", DatabaseName="ons", TableName="load",
                        Records=[{"Dimensions": [{"Name": "region", "Value": "é"}], "MeasureName": "mw", "MeasureValue": "1.5",
                                  "MeasureValueType": "DOUBLE", "Time": "1700000000000"}])

    def test_query(self):
        self.check_call("timestream-query", "Query", "query", QueryString='SELECT * FROM "ons"."load"', MaxRows=10, ClientToken="t" * 32)
        self.check_call("timestream-query", "CancelQuery", "cancel_query", QueryId="Q1")
        self.check_call("timestream-query", "PrepareQuery", "prepare_query", QueryString="SELECT 1")

    def test_every_operation_with_all_it_can_be_given(self):
        count = 0
        for service in ("timestream-write", "timestream-query"):
            model = botocore.model.ServiceModel(botocore.loaders.Loader().load_service_model(service, "service-2"))
            for name in model.operation_names:
                with self.subTest(service=service, operation=name):
                    arguments = sample(model.operation_model(name).input_shape)
                    self.check(["timestream", service, name, json.dumps(seconds(arguments))], service, botocore.xform_name(name),
                               _config={"parameter_validation": False}, **arguments)
                    count += 1
        self.assertGreaterEqual(count, 30)

    def test_endpoints(self):
        self.check(["timestream", "timestream-query", "DescribeEndpoints", "{}"], "timestream-query", "describe_endpoints")


SAMPLES = {
    "string": lambda shape: shape.enum[0] if shape.enum else ("x" * max(shape.metadata.get("min", 3), 3)),
    "integer": lambda shape: max(shape.metadata.get("min", 1), 1),
    "long": lambda shape: max(shape.metadata.get("min", 1), 1),
    "double": lambda shape: 1.5,
    "float": lambda shape: 1.5,
    "boolean": lambda shape: True,
    "timestamp": lambda shape: datetime.datetime(2024, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc),
}


def sample(shape):
    """A value for every member, of every depth."""
    if shape.type_name == "structure":
        members = list(shape.members.items())[:1] if shape.metadata.get("union") else shape.members.items()
        return {name: sample(member) for name, member in members}
    if shape.type_name == "list":
        return [sample(shape.member) for _ in range(max(shape.metadata.get("min", 1), 1))]
    if shape.type_name == "map":
        return {"key é": sample(shape.value)}
    return SAMPLES[shape.type_name](shape)


def seconds(value):
    """As most JSON services have it: times are seconds there."""
    if isinstance(value, datetime.datetime):
        return value.timestamp()
    if isinstance(value, dict):
        return {k: seconds(v) for k, v in value.items()}
    return [seconds(v) for v in value] if isinstance(value, list) else value


def plain(value):
    """As the control plane's JSON has it: times are text there."""
    if isinstance(value, datetime.datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    return [plain(v) for v in value] if isinstance(value, list) else value


class ControlPlane(Case):
    model = botocore.model.ServiceModel(botocore.loaders.Loader().load_service_model("timestream-influxdb", "service-2"))

    def test_all_operations_are_here(self):
        self.ours("tfi-names")
        ours = {row["name"]: set(row["required"].split()) for row in self.output}
        theirs = {name: set(self.model.operation_model(name).input_shape.required_members) for name in self.model.operation_names}
        self.assertEqual(ours, theirs)
        self.assertEqual(len(ours), 24)

    def test_every_operation_with_all_it_can_be_given(self):
        for name in self.model.operation_names:
            with self.subTest(name):
                arguments = sample(self.model.operation_model(name).input_shape)
                self.check(["tfi", name, json.dumps(plain(arguments))], "timestream-influxdb", botocore.xform_name(name),
                           _config={"parameter_validation": False}, **arguments)

    def test_every_operation_with_what_it_must_be_given(self):
        for name in self.model.operation_names:
            with self.subTest(name):
                shape = self.model.operation_model(name).input_shape
                arguments = {member: sample(shape.members[member]) for member in shape.required_members}
                self.check(["tfi", name, json.dumps(plain(arguments)) if arguments else ""], "timestream-influxdb", botocore.xform_name(name),
                           _config={"parameter_validation": False}, **arguments)

    def test_lists(self):
        for name in ("ListDbInstances", "ListDbClusters", "ListDbBackups", "ListDbParameterGroups"):
            self.check(["tfi-list", name], "timestream-influxdb", botocore.xform_name(name))
        self.check(["tfi-list", "ListDbInstancesForCluster", '{"dbClusterId":"c-1"}'], "timestream-influxdb", "list_db_instances_for_cluster",
                   dbClusterId="c-1")


class Models(Case):
    names = ["amazon.titan-embed-text-v2:0", "arn:aws:bedrock:eu-west-1:123456789012:inference-profile/eu.anthropic.claude-x-v1:0", "plain"]

    def test_converse(self):
        for model in self.names:
            self.check(["bedrock-converse", model, "Be brief", "Olá", 100], "bedrock-runtime", "converse", modelId=model,
                       system=[{"text": "Be brief"}], messages=[{"role": "user", "content": [{"text": "Olá"}]}],
                       inferenceConfig={"maxTokens": 100, "temperature": 0.25})

    def test_embed(self):
        for model in self.names:
            self.check(["bedrock-embed", model, "Olá", 3], "bedrock-runtime", "invoke_model", modelId=model,
                       body=json.dumps({"inputText": "Olá", "dimensions": 3}), contentType="application/json", accept="application/json")


class Objects(Case):
    keys = ["a", "dir/year=2024/x y+z.parquet", "é/%41/~!*'().txt", "a//b/./../c", "?&=#"]
    when_required = {"request_checksum_calculation": "when_required", "response_checksum_validation": "when_required",
                     "s3": {"addressing_style": "path"}}

    def s3(self, call, operation, leave=(), without=(), env=None, **arguments):
        ours = self.ours("s3", *call, **(env or {}))
        theirs = self.theirs("s3", operation, self.when_required, **arguments)
        self.same(ours, theirs, without=without, leave=leave)
        return ours

    def test_list(self):
        self.s3(["list", "bucket", "a b/"], "list_objects_v2", Bucket="bucket", Prefix="a b/", EncodingType="url")

    def test_head_get_delete(self):
        for key in self.keys:
            self.s3(["head", "bucket", key], "head_object", Bucket="bucket", Key=key)
            self.s3(["head", "bucket", key, "v/1"], "head_object", Bucket="bucket", Key=key, VersionId="v/1")
            self.s3(["get", "bucket", key], "get_object", Bucket="bucket", Key=key)
            self.s3(["delete", "bucket", key], "delete_object", Bucket="bucket", Key=key)

    def test_put(self):
        checksum = ("x-amz-checksum-sha256", "x-amz-sdk-checksum-algorithm")
        for key in self.keys:
            self.s3(["put", "bucket", key, "body é"], "put_object", leave=checksum, without=("content-md5", "expect"), Bucket="bucket", Key=key,
                    Body="body é".encode(), ContentType="text/plain")
        self.s3(["put", "bucket", "k", "b", 1], "put_object", leave=checksum, without=("content-md5",), Bucket="bucket", Key="k", Body=b"b",
                ContentType="text/plain", IfNoneMatch="*")
        self.s3(["put", "bucket", "k", "b", 2, "e1"], "put_object", leave=checksum, without=("content-md5",), Bucket="bucket", Key="k", Body=b"b",
                ContentType="text/plain", IfMatch='"e1"')

    def test_options(self):
        env = {"CALLS_KMS_KEY": "arn:aws:kms:eu-west-1:1:key/k", "CALLS_OWNER": "123456789012", "CALLS_PAYS": "1"}
        self.s3(["get", "bucket", "k"], "get_object", env=env, Bucket="bucket", Key="k", RequestPayer="requester", ExpectedBucketOwner="123456789012")
        self.s3(["put", "bucket", "k", "b"], "put_object", env=env, leave=("x-amz-checksum-sha256", "x-amz-sdk-checksum-algorithm"),
                without=("content-md5",), Bucket="bucket", Key="k", Body=b"b", ContentType="text/plain", RequestPayer="requester",
                ExpectedBucketOwner="123456789012", ServerSideEncryption="aws:kms", SSEKMSKeyId="arn:aws:kms:eu-west-1:1:key/k")

    def test_range(self):
        ours = self.ours("s3", "read", "bucket", "k", 100)
        self.assertEqual([r.method for r in ours], ["HEAD", "GET"])
        theirs = self.theirs("s3", "head_object", self.when_required, Bucket="bucket", Key="k")
        theirs += self.theirs("s3", "get_object", self.when_required, Bucket="bucket", Key="k", Range=ours[1].headers["range"], IfMatch='"e1"')
        self.same(ours, theirs)

    def test_parts(self):
        ours = self.ours("s3", "upload", "bucket", "k é", 6 << 20)
        client = self.client("s3", **self.when_required)
        client.create_multipart_upload(Bucket="bucket", Key="k é", ContentType="text/plain", ChecksumAlgorithm="SHA256")
        checksums = []
        for number, size in ((1, 5 << 20), (2, 1 << 20)):
            client.upload_part(Bucket="bucket", Key="k é", UploadId="u-1", PartNumber=number, Body=bytes(size), ChecksumAlgorithm="SHA256")
            checksums.append(self.recorder.requests[-1].headers["x-amz-checksum-sha256"])
        client.complete_multipart_upload(Bucket="bucket", Key="k é", UploadId="u-1", MultipartUpload={
            "Parts": [{"PartNumber": i + 1, "ETag": '"e1"', "ChecksumSHA256": checksum} for i, checksum in enumerate(checksums)]})
        self.same(ours, self.recorder.take(), leave=("x-amz-sdk-checksum-algorithm", "x-amz-checksum-type", "x-amz-checksum-sha256"))
        parts = [r for r in ours if r.method == "PUT"]
        self.assertEqual([r.headers["x-amz-checksum-sha256"] for r in parts], checksums)


class Endpoints(Case):
    """Without an endpoint of somebody's: the host that botocore's rules give for the region."""

    services = {"sqs": "list_queues", "secretsmanager": "list_secrets", "cloudwatch": "list_metrics", "sts": "get_caller_identity",
                "sns": "list_topics", "kms": "list_keys", "timestream-write": "describe_endpoints", "timestream-query": "describe_endpoints",
                "timestream-influxdb": "list_db_instances", "s3": "list_buckets", "logs": "describe_log_groups",
                "bedrock-runtime": "list_async_invokes", "ce": "list_cost_category_definitions"}

    class Seen(Exception):
        pass

    def place(self, service, region, **flags):
        """Where botocore would send a call; None where there is no such place."""
        def seen(request, **_):
            raise self.Seen(request.url)
        config = botocore.config.Config(use_fips_endpoint=flags.get("fips", False), use_dualstack_endpoint=flags.get("dualstack", False))
        session = boto3.session.Session(region_name=region, aws_access_key_id=ACCESS, aws_secret_access_key=SECRET)
        client = session.client(service, config=config)
        client.meta.events.register("before-send", seen)
        try:
            getattr(client, self.services[service])()
        except self.Seen as e:
            url = urllib.parse.urlsplit(str(e))
            return f"{url.scheme}://{url.netloc}"
        except botocore.exceptions.BotoCoreError:
            return None
        return self.fail("nothing was sent")

    def compare(self, region, **flags):
        for service in self.services:
            theirs = self.place(service, region, **flags)
            if theirs == "https://s3.amazonaws.com":
                theirs = "https://s3.us-east-1.amazonaws.com"  # the older name of the same place
            env = {k: v for k, v in self.environment().items() if k != "AWS_ENDPOINT_URL"}
            env.update(AWS_REGION=region, AWS_USE_FIPS_ENDPOINT=str(flags.get("fips", False)).lower(),
                       AWS_USE_DUALSTACK_ENDPOINT=str(flags.get("dualstack", False)).lower())
            with self.subTest(service=service, region=region, **flags):
                self.assertEqual(aws_program.run(program, "endpoint", service, env=env)[0]["url"], theirs)

    def test_regions(self):
        for region in ("us-east-1", "eu-west-1", "sa-east-1", "ap-southeast-5", "us-gov-west-1", "cn-north-1"):
            self.compare(region)

    def test_fips_and_dualstack(self):
        for region in ("us-east-1", "us-west-2", "ca-central-1"):
            self.compare(region, fips=True)
            self.compare(region, dualstack=True)


if __name__ == "__main__":
    unittest.main()
