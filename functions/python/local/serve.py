"""Serves a vendor's handler on this machine: `python -m local.serve --kind google --database /tmp/summaries.db`.

Prints `listening on 127.0.0.1:PORT` and runs until SIGTERM. What the handler runs in:

google  functions-framework, Google's own.
aws     awslambdaric, AWS' own, behind a runtime API of ours (lambda_runtime.py). A function URL, and the Invoke API under its path.
azure   no host of Microsoft's can be installed from a package index: a shim builds the request with the types of `azure-functions` and calls
        the function that the app registered, under /api/ingest.
aliyun  a shim builds the event that Function Compute 3.0 documents for HTTP triggers, and calls the handler with its bytes.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import pathlib
import sys

from .front import Front, Request, Response
from .lambda_runtime import Lambda, url_event, url_response

PYTHON = pathlib.Path(__file__).resolve().parents[1]
FUNCTIONS = PYTHON.parent


def google(source: pathlib.Path, target: str = "ingest", signature: str = "http"):
    import functions_framework
    from werkzeug.test import EnvironBuilder, run_wsgi_app

    app = functions_framework.create_app(target, str(source), signature)

    def function(request: Request) -> Response:
        builder = EnvironBuilder(request.path, method=request.method, headers=request.headers, data=request.body)
        chunks, status, headers = run_wsgi_app(app, builder.get_environ(), buffered=True)
        kept = {name: value for name, value in headers.items() if name.lower() != "content-length"}
        return Response(int(status.split()[0]), b"".join(chunks), kept)

    return function


def azure(source: pathlib.Path):
    import azure.functions as func

    app = module(source).app
    routes, timers = {}, {}
    for built in app.get_functions():
        trigger = built.get_trigger().get_dict_repr()
        if trigger["type"] == "httpTrigger":
            routes["/api/" + trigger["route"]] = built.get_user_function()
        else:
            # How the host lets one run a function by hand.
            timers["/admin/functions/" + built.get_function_name()] = built.get_user_function()

    def function(request: Request) -> Response:
        path = request.path.split("?")[0]
        if path in timers:
            timers[path](None)
            return Response(202)
        found = routes.get(path)
        if found is None:
            return Response(404)
        url = "http://localhost" + request.path
        answer = found(func.HttpRequest(request.method, url, headers=request.headers, body=request.body))
        kind = {"Content-Type": f"{answer.mimetype}; charset={answer.charset}"}
        return Response(answer.status_code, answer.get_body(), {**kind, **dict(answer.headers)})

    return function


def aliyun(source: pathlib.Path):
    handler = module(source).handler

    def function(request: Request) -> Response:
        # The same members as a function URL's payload format 2.0, but for these.
        like = url_event(request)
        event = {name: like[name] for name in ("rawPath", "headers", "body", "isBase64Encoded")}
        context = {name: like["requestContext"][name] for name in ("accountId", "domainName", "domainPrefix", "http", "requestId")}
        event.update(version="v1", queryParameters={}, requestContext=context)
        try:
            return url_response(handler(json.dumps(event).encode(), None))
        except Exception as problem:  # What the service answers when a handler raises.
            return Response(502, json.dumps({"errorMessage": str(problem)}).encode(), {"Content-Type": "application/json"})

    return function


def signed(function, access_key: str, secret: str):
    from .sigv4 import problem

    def checked(request: Request) -> Response:
        why = problem(request, access_key, secret)
        return Response(403, json.dumps({"Message": why}).encode(), {"Content-Type": "application/json"}) if why else function(request)

    return checked


def module(path: pathlib.Path):
    spec = importlib.util.spec_from_file_location(f"handler_{path.parent.name}", path)
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def store_of(arguments) -> str:
    if arguments.store:
        return arguments.store
    if arguments.database:
        return f"sqlite:///{os.path.abspath(arguments.database)}"
    from tidegate_functions import open_store
    from tidegate_functions.store.dynamodb import create_table

    url = f"dynamodb://tidegate?endpoint={arguments.dynamodb}"
    store = open_store(url)
    if "tidegate" not in store.client.list_tables()["TableNames"]:
        create_table(store.client, "tidegate")
    store.close()
    return url


def main() -> None:
    parser = argparse.ArgumentParser(prog="local.serve", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", required=True, choices=("google", "aws", "azure", "aliyun"))
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--database", metavar="FILE", help="an SQLite file")
    where.add_argument("--dynamodb", metavar="URL", help="a DynamoDB server, such as moto; the table is `tidegate`")
    where.add_argument("--store", metavar="URL", help="what TIDEGATE_STORE takes")
    parser.add_argument("--port", type=int, default=0, help="default: a free one")
    parser.add_argument("--source", type=pathlib.Path, help="google: another file than functions/google/main.py")
    parser.add_argument("--target", default="ingest", help="google: the function's name in it")
    parser.add_argument("--signature", default="http", choices=("http", "cloudevent"), help="google: what kind of function it is")
    parser.add_argument("--lose-answers", type=int, default=0, metavar="N", help="do the work of the first N requests, and lose the answers")
    parser.add_argument("--hold", type=float, default=0.0, metavar="SECONDS", help="keep the sender of those waiting before the connection ends")
    parser.add_argument("--require", action="append", default=[], metavar="HEADER=VALUE", help="answer 401 to requests without it")
    parser.add_argument("--sign", metavar="ACCESS_KEY:SECRET", help="aws: answer 403 to requests that these have not signed")
    arguments = parser.parse_args()
    sys.path.insert(0, str(PYTHON))
    os.environ["TIDEGATE_STORE"] = store_of(arguments)
    required = dict(pair.split("=", 1) for pair in arguments.require)
    environments = None
    if arguments.kind == "aws":
        environments = Lambda(str(FUNCTIONS / "aws"), "handler.handler", {"PYTHONPATH": str(PYTHON)})
        function = signed(environments.front, *arguments.sign.split(":", 1)) if arguments.sign else environments.front
    elif arguments.kind == "google":
        function = google(arguments.source or FUNCTIONS / "google/main.py", arguments.target, arguments.signature)
    elif arguments.kind == "azure":
        function = azure(FUNCTIONS / "azure/function_app.py")
    else:
        function = aliyun(FUNCTIONS / "aliyun/index.py")
    try:
        Front(function, arguments.lose_answers, arguments.hold, required, arguments.port).serve_until_terminated()
    finally:
        if environments:
            environments.stop()


if __name__ == "__main__":
    main()
