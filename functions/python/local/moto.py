"""A DynamoDB server in memory: prints `listening on 127.0.0.1:PORT` and runs until SIGTERM."""

import logging
import signal
import threading

from moto.server import ThreadedMotoServer


def main() -> None:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    print("listening on %s:%d" % server.get_host_and_port(), flush=True)
    ended.wait()
    server.stop()


if __name__ == "__main__":
    main()
