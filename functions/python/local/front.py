"""The HTTP server before a local function: what a vendor's front end does, as far as a gateway sees it."""

from __future__ import annotations

import signal
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BODY_BYTES_MAX = 32 * 1024 * 1024


@dataclass
class Request:
    method: str
    path: str
    headers: dict
    body: bytes


@dataclass
class Response:
    status: int
    body: bytes = b""
    headers: dict = field(default_factory=dict)


class Front:
    """`function` takes a `Request` and gives a `Response`. Of the first `lose_answers` requests the answers are lost when the function
    has done its work, after `hold` seconds; that is what a time-out looks like that had succeeded. `required`: headers without which
    the answer is 401."""

    def __init__(self, function, lose_answers: int = 0, hold: float = 0.0, required: dict | None = None, port: int = 0):
        self.function, self.to_lose, self.hold, self.required = function, lose_answers, hold, required or {}
        self.lock = threading.Lock()
        front = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            wbufsize = -1

            def do_POST(self):
                length = int(self.headers.get("Content-Length", 0))
                if length > BODY_BYTES_MAX:
                    self.close_connection = True
                    return self.answer(Response(413))
                headers = {name.lower(): value for name, value in self.headers.items()}
                request = Request(self.command, self.path, headers, self.rfile.read(length))
                response = front.respond(request)
                if response is None:
                    self.close_connection = True
                else:
                    self.answer(response)

            do_GET = do_PUT = do_HEAD = do_POST

            def answer(self, response):
                self.send_response(response.status)
                for name, value in response.headers.items():
                    self.send_header(name, value)
                if response.status not in (204, 304):
                    self.send_header("Content-Length", str(len(response.body)))
                self.end_headers()
                if response.status not in (204, 304) and self.command != "HEAD":
                    self.wfile.write(response.body)
                self.wfile.flush()

            def log_message(self, *_):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

        self.server = Server(("127.0.0.1", port), Handler)

    @property
    def address(self) -> str:
        return "127.0.0.1:%d" % self.server.server_address[1]

    def respond(self, request: Request) -> Response | None:
        if any(request.headers.get(name.lower()) != value for name, value in self.required.items()):
            return Response(401, b"unauthorized", {"Content-Type": "text/plain"})
        response = self.function(request)
        if request.method != "POST":
            return response
        with self.lock:
            lost = self.to_lose > 0
            self.to_lose -= lost
        if lost:
            time.sleep(self.hold)
            return None
        return response

    def start(self) -> Front:
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def serve_until_terminated(self) -> None:
        """Says where it listens, and returns on SIGTERM or SIGINT."""
        ended = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: ended.set())
        self.start()
        print(f"listening on {self.address}", flush=True)
        ended.wait()
        self.stop()
