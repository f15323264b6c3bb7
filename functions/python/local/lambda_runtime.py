"""The AWS Lambda runtime API (version 2018-06-01) on this machine, and the two ways into it: a function URL and the Invoke API.

The handler runs in awslambdaric, the runtime interface client that AWS itself runs; what is here is its other side, after "Using the
Lambda runtime API for custom runtimes", "Invoking Lambda function URLs" and the API reference of `Invoke` (AWS Lambda developer guide).
Each process handles one event at a time, as an execution environment does.
"""

from __future__ import annotations

import base64
import json
import os
import queue
import subprocess
import sys
import threading
import time
import uuid
from dataclasses import dataclass, field

from .front import Front, Request, Response

API = "/2018-06-01/runtime/"
# Synchronous payloads (AWS Lambda quotas).
PAYLOAD_BYTES_MAX = 6 * 1024 * 1024
TEXT_TYPES = ("text/", "application/json", "application/javascript", "application/xml")


@dataclass
class Invocation:
    payload: bytes
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    done: threading.Event = field(default_factory=threading.Event)
    result: bytes = b""
    failed: bool = False


class Lambda:
    """Environments with a handler in them. `folder`: where the handler is; `timeout`: seconds for one invocation."""

    def __init__(self, folder: str, handler: str, environment: dict, instances: int = 2, timeout: float = 30.0):
        self.waiting, self.running = queue.Queue(), {}
        self.name, self.timeout = "tidegate", timeout
        self.api = Front(self.runtime_api).start()
        settings = {
            **os.environ, **environment,
            "AWS_LAMBDA_RUNTIME_API": self.api.address, "AWS_LAMBDA_FUNCTION_NAME": self.name, "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256", "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/tidegate", "LAMBDA_TASK_ROOT": folder,
            "AWS_LAMBDA_LOG_STREAM_NAME": "local", "_HANDLER": handler,
        }  # fmt: skip
        command = [sys.executable, "-m", "awslambdaric", handler]
        # A handler's output goes to our stderr: the first line of our stdout is the address.
        self.processes = [subprocess.Popen(command, cwd=folder, env=settings, stdout=sys.stderr) for _ in range(instances)]

    def stop(self) -> None:
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.wait()
        self.api.stop()

    def runtime_api(self, request: Request) -> Response | None:
        path = request.path[len(API) :].split("/")
        if request.path == API + "invocation/next":
            return self.next()
        if path[0] == "init":
            print(request.body.decode(errors="replace"), file=sys.stderr)
            return Response(202, b"{}")
        invocation = self.running.pop(path[1], None) if len(path) == 3 else None
        if invocation is None:
            return Response(400, b"{}")
        invocation.result, invocation.failed = request.body, path[2] == "error"
        invocation.done.set()
        return Response(202, b"{}")

    def next(self) -> Response:
        invocation = self.waiting.get()
        self.running[invocation.id] = invocation
        return Response(200, invocation.payload, {
            "Content-Type": "application/json",
            "Lambda-Runtime-Aws-Request-Id": invocation.id,
            "Lambda-Runtime-Deadline-Ms": str(int((time.time() + self.timeout) * 1000)),
            "Lambda-Runtime-Invoked-Function-Arn": f"arn:aws:lambda:eu-west-1:123456789012:function:{self.name}",
            "Lambda-Runtime-Trace-Id": "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=0",
        })  # fmt: skip

    def invoke(self, payload: bytes) -> Invocation:
        invocation = Invocation(payload)
        self.waiting.put(invocation)
        if not invocation.done.wait(self.timeout):
            invocation.failed = True
            invocation.result = json.dumps({"errorMessage": f"Task timed out after {self.timeout:.2f} seconds"}).encode()
        return invocation

    def front(self, request: Request) -> Response:
        """The Invoke API under its path; a function URL under every other."""
        if len(request.body) > PAYLOAD_BYTES_MAX:
            return Response(413, b'{"Message":"Request Too Long"}', {"Content-Type": "application/json"})
        path = request.path.split("?")[0].split("/")
        if path[1:3] == ["2015-03-31", "functions"] and path[-1] == "invocations":
            return self.invoke_api(request)
        invocation = self.invoke(json.dumps(url_event(request)).encode())
        if invocation.failed:
            return Response(502, b"Internal Server Error", {"Content-Type": "text/plain"})
        return url_response(json.loads(invocation.result))

    def invoke_api(self, request: Request) -> Response:
        if request.headers.get("x-amz-invocation-type") == "DryRun":
            return Response(204)
        try:
            json.loads(request.body or b"null")
        except ValueError:
            body = b'{"Type":"User","Message":"Could not parse request body into json"}'
            return Response(400, body, {"X-Amzn-ErrorType": "InvalidRequestContentException", "Content-Type": "application/json"})
        invocation = self.invoke(request.body)
        headers = {"Content-Type": "application/json", "X-Amz-Executed-Version": "$LATEST", "x-amzn-RequestId": invocation.id}
        if invocation.failed:
            headers["X-Amz-Function-Error"] = "Unhandled"
        return Response(200, invocation.result, headers)


def url_event(request: Request) -> dict:
    """Payload format 2.0."""
    path, _, query = request.path.partition("?")
    plain = is_text(request)
    http = {"method": request.method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1",
            "userAgent": request.headers.get("user-agent", "")}  # fmt: skip
    context = {"accountId": "anonymous", "apiId": "local", "domainName": "local.lambda-url.eu-west-1.on.aws", "domainPrefix": "local",
               "http": http, "requestId": str(uuid.uuid4()), "routeKey": "$default", "stage": "$default",
               "time": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime()), "timeEpoch": int(time.time() * 1000)}  # fmt: skip
    return {
        "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": query, "headers": request.headers,
        "requestContext": context, "body": request.body.decode() if plain else base64.b64encode(request.body).decode(),
        "isBase64Encoded": not plain,
    }  # fmt: skip


def is_text(request: Request) -> bool:
    """Whether a front end passes the body on as it is. A compressed one is binary whatever its type says."""
    kind = request.headers.get("content-type", "").lower()
    if "content-encoding" in request.headers or not (kind.startswith(TEXT_TYPES) or kind.split(";")[0].endswith("+json")):
        return False
    try:
        request.body.decode()
    except UnicodeDecodeError:
        return False
    return True


def url_response(result: object) -> Response:
    """What is no object with a status is the body of a 200."""
    if not (isinstance(result, dict) and "statusCode" in result):
        return Response(200, json.dumps(result).encode(), {"Content-Type": "application/json"})
    body = result.get("body") or ""
    body = base64.b64decode(body) if result.get("isBase64Encoded") else body.encode()
    return Response(int(result["statusCode"]), body, {"Content-Type": "application/json", **(result.get("headers") or {})})
