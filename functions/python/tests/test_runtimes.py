"""Each handler in its runtime, over HTTP, against a table that is computed independently."""

import contextlib
import copy
import gzip
import http.client
import json
import os
import pathlib
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import zstandard
from tidegate_functions import open_store
from world import disordered, expected, full, history, minute, summary, table

PYTHON = pathlib.Path(__file__).resolve().parents[1]
KINDS = ["google", "aws", "aws-invoke", "azure", "aliyun"]
PATHS = {"azure": "/api/ingest", "aws-invoke": "/2015-03-31/functions/tidegate/invocations"}


class Gone(Exception):
    """The answer was lost."""


class Served:
    """A handler in a process of its own."""

    def __init__(self, kind, *arguments):
        self.kind = kind
        command = [sys.executable, "-m", "local.serve", "--kind", kind.split("-")[0], *arguments]
        self.process = subprocess.Popen(command, cwd=PYTHON, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        assert line.startswith("listening on 127.0.0.1:"), line
        self.port = int(line.rsplit(":", 1)[1])
        self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def post(self, body, headers):
        try:
            self.connection.request("POST", PATHS.get(self.kind, "/"), body, headers)
            response = self.connection.getresponse()
            return response.status, dict(response.getheaders()), response.read()
        except (http.client.RemoteDisconnected, ConnectionResetError) as problem:
            self.connection.close()
            raise Gone from problem

    def send(self, events, **headers):
        """As the daemon sends to this kind; returns status and what the function said."""
        if self.kind.startswith("aws"):
            kind, body = "application/json", {"events": events}
        elif len(events) == 1:
            kind, body = "application/cloudevents+json", events[0]
        else:
            kind, body = "application/cloudevents-batch+json", events
        status, said, answer = self.post(json.dumps(body).encode(), {"Content-Type": kind, **headers})
        assert not said.get("Content-Type", "").startswith("text/html"), "a captive portal answers so"
        return status, json.loads(answer)

    def again(self):
        """Another connection to it."""
        other = copy.copy(self)
        other.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        return other

    def stop(self):
        self.connection.close()
        self.process.terminate()
        return self.process.wait(timeout=30)


@contextlib.contextmanager
def served(kind, *arguments):
    server = Served(kind, *arguments)
    try:
        yield server
    finally:
        code = server.stop()
    assert code == 0


@pytest.mark.parametrize("kind", KINDS)
def test_lost_answers_and_disorder_leave_the_right_table(kind, tmp_path):
    """The answers of the first three requests are lost after the work was done: those come again."""
    file, events = tmp_path / "summaries.db", history(kind)
    with served(kind, "--database", str(file), "--lose-answers", "3") as function:
        lost = 0
        for batch in disordered(events, random.Random(kind)):
            while True:
                try:
                    status, answer = function.send(batch)
                    break
                except Gone:
                    lost += 1
            assert (status, answer["failed"]) == (200, [])
            assert answer["stored"] + answer["stale"] == len(batch)
        assert lost == 3
    store = open_store(f"sqlite:///{file}")
    assert table(store) == expected(events)
    store.close()


@pytest.mark.parametrize("kind", KINDS)
def test_dynamodb_behind_it(kind, dynamodb):
    events = [summary(minute(n), source=f"/gateways/{kind}/a") for n in range(20)]
    with served(kind, "--dynamodb", dynamodb) as function:
        assert function.send(events)[1]["stored"] == 20
        assert function.send(events)[1]["stale"] == 20
    store = open_store(f"dynamodb://tidegate?endpoint={dynamodb}")
    assert table(store).keys() >= expected(events).keys()
    assert [row.key for row in store.rows(f"/gateways/{kind}/a")] == sorted(event["data"]["key"] for event in events)


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("kind", KINDS)
def test_requests_at_one_time(kind, store_url):
    """Four senders, as after time-outs that had succeeded, before PostgreSQL."""
    events = history(f"at one time {kind}")
    with served(kind, "--store", store_url) as function:

        def sender(number):
            own = function.again()
            for batch in disordered(events, random.Random(number)):
                status, answer = own.send(batch)
                assert (status, answer["failed"]) == (200, [])
            own.connection.close()

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(sender, range(4)))
    store = open_store(store_url)
    assert table(store) == expected(events)
    store.close()


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "aws-invoke"])
def test_compressed_and_malformed(kind, tmp_path):
    with served(kind, "--database", str(tmp_path / "summaries.db")) as function:
        batch = json.dumps([summary(minute(0)), {**summary(minute(1)), "data": 7}]).encode()
        for name, packed in (("gzip", gzip.compress(batch)), ("zstd", zstandard.compress(batch))):
            headers = {"Content-Type": "application/cloudevents-batch+json", "Content-Encoding": name}
            status, _, answer = function.post(packed, headers)
            answer = json.loads(answer)
            assert (status, answer["stored"] + answer["stale"]) == (200, 1)
            assert [(failed["id"], failed["retry"]) for failed in answer["failed"]] == [(f"{minute(1)}/r0", False)]
        assert function.post(b"{", {"Content-Type": "application/cloudevents+json"})[0] == 400
        assert function.post(batch, {"Content-Encoding": "br"})[0] == 415


@pytest.mark.parametrize("kind", KINDS)
def test_a_store_that_is_away(kind, tmp_path):
    """Nothing is confirmed, and nothing refused. When the store is back the same function goes on."""
    folder, events = tmp_path / "away", [summary(minute(0)), summary(minute(1))]
    with served(kind, "--database", str(folder / "summaries.db")) as function:
        status, answer = function.send(events)
        if kind == "aws-invoke":
            assert (status, answer) == (200, {"failed": [{"id": event["id"], "retry": True} for event in events]})
        else:
            assert status == 503
        os.mkdir(folder)
        assert function.send(events)[1]["stored"] == 2


def test_a_required_header(tmp_path):
    with served("azure", "--database", str(tmp_path / "summaries.db"), "--require", "x-functions-key=k1") as function:
        assert function.post(json.dumps(summary()), {"x-functions-key": "k2"})[0] == 401
        assert function.post(json.dumps(summary()), {"x-functions-key": "k1"})[0] == 200


def test_an_invocation_that_is_none_of_ours(tmp_path):
    with served("aws-invoke", "--database", str(tmp_path / "summaries.db")) as function:
        status, headers, answer = function.post(b'{"hello": 1}', {})
        assert (status, headers["X-Amz-Function-Error"]) == (200, "Unhandled")
        assert json.loads(answer)["errorType"] == "ValueError"
        assert function.post(b"{", {})[0] == 400


def test_signatures(tmp_path):
    """Signed by botocore; and the same with anything about it changed."""
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    body = json.dumps({"events": [summary()]}).encode()

    def headers(port, secret="secret", service="lambda", data=body):
        request = AWSRequest("POST", f"http://127.0.0.1:{port}/", headers={"Host": f"127.0.0.1:{port}"}, data=data)
        SigV4Auth(Credentials("AKID", secret), service, "eu-west-1").add_auth(request)
        return {**dict(request.headers), "Content-Type": "application/json"}

    with served("aws", "--database", str(tmp_path / "summaries.db"), "--sign", "AKID:secret") as function:
        port = function.port
        assert function.post(body, headers(port))[0] == 200
        wrong = [{}, headers(port, secret="other"), headers(port, service="s3"), headers(port, data=b"{}"),
                 {**headers(port), "X-Amz-Date": "20200101T000000Z"}, {**headers(port), "X-Amz-Security-Token": "x"}]  # fmt: skip
        assert [function.post(body, found)[0] for found in wrong] == [403] * len(wrong)


@pytest.mark.parametrize("kind", ["google", "aws-invoke", "azure", "aliyun"])
def test_the_timer_rolls_up(kind, tmp_path, monkeypatch):
    file = tmp_path / "summaries.db"
    with served(kind, "--database", str(file)) as function:
        function.send([full([1.0, 2.0], 0), full([3.0], 1)])
        if kind == "aws-invoke":
            assert json.loads(function.post(b'{"task": "run"}', {})[2])["windows"] == 2
        elif kind == "azure":
            function.connection.request("POST", "/admin/functions/hourly", b"{}")
            assert function.connection.getresponse().status == 202
    if kind == "google":
        with served(kind, "--database", str(file), "--target", "timer") as function:
            assert json.loads(function.post(b"", {})[2])["windows"] == 2
    if kind == "aliyun":
        # What the service hands to it: "Time trigger", Function Compute 3.0 user guide.
        command = "import index; print(index.timer(b'{\"triggerTime\":\"2026-11-22T20:05:00Z\",\"triggerName\":\"hourly\",\"payload\":\"\"}', None))"
        environment = {**os.environ, "TIDEGATE_STORE": f"sqlite:///{file}", "PYTHONPATH": str(PYTHON)}
        said = subprocess.run([sys.executable, "-c", command], cwd=PYTHON.parent / "aliyun", env=environment, check=True, capture_output=True)
        assert json.loads(said.stdout)["windows"] == 2
    store = open_store(f"sqlite:///{file}")
    (found,) = store.rollups("hour", "2026-11-22T19:00:00Z", "2026-11-22T20:00:00Z")
    assert found.data["values"] == {"count": 3, "mean": 2.0, "max": 3.0}
    store.close()
