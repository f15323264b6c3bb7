"""What the documents show works as it stands there."""

import json
import os
import pathlib
import random
import re
import sqlite3
import subprocess
import sys

import yaml
from tidegate_functions.store.dynamodb import create_table
from test_runtimes import Gone, Served
from world import SOURCE, expected, full, history, minute, summary

FUNCTIONS = pathlib.Path(__file__).resolve().parents[2]
README = (FUNCTIONS / "README.md").read_text()


def test_the_simplest_function(tmp_path, monkeypatch):
    """Twenty lines or so, unchanged, under functions-framework: single events in any order, repeated, some of them after a lost answer."""
    code = re.search(r"```python\n(import contextlib.*?)```", README, re.S)[1]
    assert sum(bool(line.strip()) for line in code.splitlines()) <= 20
    (tmp_path / "function.py").write_text(code)
    monkeypatch.setenv("DATABASE", str(tmp_path / "windows.db"))
    function = Served("google", "--source", str(tmp_path / "function.py"), "--signature", "cloudevent", "--store", "sqlite:////none", "--lose-answers", "5")
    events, rng = history(20), random.Random(20)
    queue = events + rng.sample(events, 10)
    rng.shuffle(queue)
    while queue:
        try:
            headers = {"Content-Type": "application/cloudevents+json"}
            status, _, said = function.post(json.dumps(queue[-1]).encode(), headers)
        except Gone:
            continue
        assert (status, said) == (200, b"OK")
        queue.pop()
    function.stop()
    with sqlite3.connect(tmp_path / "windows.db") as database:
        rows = database.execute("SELECT source, key, data FROM windows WHERE data IS NOT NULL").fetchall()
    assert {(source, key): json.loads(data) for source, key, data in rows} == expected(events)


def test_the_table_of_costs():
    said = subprocess.run([sys.executable, FUNCTIONS / "cost.py"], check=True, capture_output=True, text=True).stdout
    assert said.strip() in README


def test_the_template_makes_the_table_of_the_tests():
    made = {}

    class Client:
        def create_table(self, **arguments):
            made.update(arguments)

        def get_waiter(self, _):
            return self

        def wait(self, **_):
            pass

    class Loader(yaml.SafeLoader):
        pass

    Loader.add_multi_constructor("!", lambda loader, suffix, node: node.value)
    create_table(Client(), "tidegate")
    template = yaml.load((FUNCTIONS / "aws/template.yaml").read_text(), Loader)
    table = template["Resources"]["Table"]["Properties"]
    for part in ("AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes", "BillingMode"):
        assert table[part] == made[part], part


def test_templates_name_handlers_that_are_there():
    aws = (FUNCTIONS / "aws/template.yaml").read_text()
    aliyun = yaml.safe_load((FUNCTIONS / "aliyun/s.yaml").read_text())
    named = {"aws": re.findall(r"Handler: (\S+)", aws), "aliyun": [r["props"]["handler"] for r in aliyun["resources"].values()]}
    named["google"] = ["main." + entry for entry in re.findall(r"^deploy \S+ (\w+)", (FUNCTIONS / "google/deploy").read_text(), re.M)]
    assert [len(handlers) for handlers in named.values()] == [1, 2, 2]
    for vendor, handlers in named.items():
        for handler in handlers:
            module, function = handler.split(".")
            assert f"def {function}(" in (FUNCTIONS / vendor / f"{module}.py").read_text(), handler


def test_a_package_is_complete(tmp_path):
    """What is uploaded can be imported without anything else of this repository."""
    for vendor, module in (("aws", "handler"), ("google", "main"), ("azure", "function_app"), ("aliyun", "index")):
        folder = tmp_path / vendor
        subprocess.run([FUNCTIONS / "run", "package", vendor, folder], check=True, capture_output=True)
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        command = f"import {module}, tidegate_functions; print(tidegate_functions.__file__)"
        said = subprocess.run([sys.executable, "-c", command], cwd=folder, env=environment, check=True, capture_output=True, text=True)
        assert said.stdout.startswith(str(folder))


def test_the_command_line(tmp_path):
    store, events = f"sqlite:///{tmp_path}/summaries.db", [summary(minute(0)), summary(minute(1)), full([1.0, 2.0], 2)]

    def run(*arguments):
        command = [sys.executable, "-m", "tidegate_functions", "--store", store, *arguments]
        environment = {**os.environ, "PYTHONPATH": str(FUNCTIONS / "python")}
        said = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
        return [json.loads(line) for line in said.splitlines()]

    from tidegate_functions import ingest, open_store

    opened = open_store(store)
    ingest(events, opened)
    opened.close()
    assert [(row["source"], row["key"]) for row in run("rows")] == [(SOURCE, minute(n)) for n in range(3)]
    assert run("run") == [{"windows": 1, "hours": 1, "days": 1, "unreadable": 0, "anomalies": 0}]
    assert run("anomalies") == []
    span = ("--start", "2026-11-22T00:00:00Z", "--end", "2026-11-23T00:00:00Z")
    assert [found["values"] for found in run("rollups", *span)] == [{"count": 2, "mean": 1.5, "max": 2.0}]
    assert run("totals", *span) == [{"greenhouse-7": {"minute": {"temperature": {"series": 1, "received": 2, "expected": 0}}}}]
