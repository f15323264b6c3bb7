"""The DynamoDB store. One item per event, keyed (source, key), written only where its revision is above the one that is there.

DynamoDB decides that in the write itself ("condition expressions", Amazon DynamoDB developer guide), so concurrent invocations need no
lock. Items are written one by one: after a crash in the midst of a batch a part is there, the batch comes again, and what is there
is stale. An event is written before the keys that it replaces are retired, so that at no moment a reading is in no window.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qs, urlsplit

from ..event import RETIRED, Event
from . import Outcome, Rollup, Row

# Requests under way at once: a batch of 500 items takes about half a second at 8 ms each.
PARALLEL = 8
ATTEMPTS = 20


def from_url(rest: str) -> DynamoStore:
    """`TABLE?endpoint=http://127.0.0.1:8000&region=eu-west-1`; both can be left to the environment. A server on this machine asks for no
    credentials, but the library does."""
    import boto3
    from botocore.config import Config

    table, _, query = rest.partition("?")
    options = {name: values[-1] for name, values in parse_qs(query).items()}
    config = Config(max_pool_connections=PARALLEL, retries={"mode": "adaptive", "max_attempts": 5}, connect_timeout=5, read_timeout=10)
    endpoint, region, known = options.get("endpoint"), options.get("region"), {}
    if endpoint and urlsplit(endpoint).hostname in ("127.0.0.1", "::1", "localhost"):
        known, region = {"aws_access_key_id": "local", "aws_secret_access_key": "local"}, region or "eu-west-1"
    client = boto3.client("dynamodb", endpoint_url=endpoint, region_name=region, config=config, **known)
    return DynamoStore(client, table)


def create_table(client, table: str) -> None:
    """As template.yaml has it; for tests and for local servers. `by_pending` holds only what waits for a roll-up."""
    names = ("source", "key", "bucket", "pending")
    index = [
        {"IndexName": f"by_{name}", "Projection": {"ProjectionType": kind},
         "KeySchema": [{"AttributeName": name, "KeyType": "HASH"}, {"AttributeName": "key", "KeyType": "RANGE"}]}
        for name, kind in (("bucket", "ALL"), ("pending", "KEYS_ONLY"))
    ]  # fmt: skip
    client.create_table(
        TableName=table,
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in names],
        KeySchema=[{"AttributeName": "source", "KeyType": "HASH"}, {"AttributeName": "key", "KeyType": "RANGE"}],
        GlobalSecondaryIndexes=index,
        BillingMode="PAY_PER_REQUEST",
    )
    client.get_waiter("table_exists").wait(TableName=table, WaiterConfig={"Delay": 1})


class Refused(Exception):
    """DynamoDB will not take this item, now or later."""


class DynamoStore:
    def __init__(self, client, table: str):
        self.client, self.table = client, table
        self.errors = client.exceptions

    def close(self) -> None:
        self.client.close()

    def put(self, events: list) -> Outcome:
        """Stores events and retires what they replace. What DynamoDB would not take now is named in `failed`."""
        outcome, problems = Outcome(), {}
        with ThreadPoolExecutor(PARALLEL) as pool:
            for n, (kept, problem) in enumerate(pool.map(attempt(self.keep), events)):
                if problem:
                    problems[n] = problem
                else:
                    outcome.stored += kept
                    outcome.stale += not kept
            # What is not there must not retire anything: it comes again, and does so then.
            keys = [(n, event.source, key) for n, event in enumerate(events) if n not in problems for key in event.replaces]
            for (n, *_), (retired, problem) in zip(keys, pool.map(attempt(lambda key: self.retire(*key[1:])), keys)):
                if problem:
                    problems[n] = problem
                else:
                    outcome.retired += retired
        refused = {n for n, problem in problems.items() if isinstance(problem, Refused)}
        if events and len(problems) == len(events) and not refused:
            raise problems[0]
        outcome.failed = [{"id": events[n].id, "retry": n not in refused} for n in sorted(problems)]
        return outcome

    def keep(self, event: Event) -> bool:
        values = {"revision": event.revision, "type": event.type, "data": event.text, "bucket": event.bucket, "pending": event.bucket}
        return self.update(event.source, event.key, values, "attribute_not_exists(revision) OR revision < :revision")

    def retire(self, source: str, key: str) -> bool:
        """Puts the highest revision. A window that was there keeps its hour and waits for a roll-up without it."""
        for _ in range(ATTEMPTS):
            known = self.client.get_item(TableName=self.table, Key=name_of(source, key), ConsistentRead=True,
                                         ExpressionAttributeNames={"#bucket": "bucket"},
                                         ProjectionExpression="revision, #bucket").get("Item")  # fmt: skip
            if known is None:
                done = self.update(source, key, {"revision": RETIRED}, "attribute_not_exists(revision)")
            elif int(known["revision"]["N"]) == RETIRED:
                return False
            else:
                values = {"revision": RETIRED, "pending": known.get("bucket", {}).get("S")}
                done = self.update(source, key, values, "revision = :known", int(known["revision"]["N"]), remove="data")
            if done:
                return True
        raise RuntimeError(f"{key} changed {ATTEMPTS} times while it was retired")

    def update(self, source: str, key: str, values: dict, condition: str, known: int | None = None, remove: str = "") -> bool:
        """One conditional write. False: the condition does not hold. `known` is what `:known` in it stands for."""
        values = {name: value for name, value in values.items() if value is not None}
        given = {f":{name}": typed(value) for name, value in values.items()}
        if known is not None:
            given[":known"] = typed(known)
        expression = "SET " + ", ".join(f"#{name} = :{name}" for name in values)
        names = {f"#{name}": name for name in values}
        if remove:
            expression += f" REMOVE #{remove}"
            names[f"#{remove}"] = remove
        try:
            self.client.update_item(
                TableName=self.table, Key=name_of(source, key), UpdateExpression=expression, ConditionExpression=condition,
                ExpressionAttributeNames=names, ExpressionAttributeValues=given,
            )  # fmt: skip
        except self.errors.ConditionalCheckFailedException:
            return False
        except self.errors.ClientError as problem:
            if problem.response["Error"]["Code"] == "ValidationException" and "size" in str(problem).lower():
                raise Refused(str(problem)) from problem
            raise
        return True

    def rows(self, source: str | None = None) -> list:
        """What counts: all events whose keys are not retired."""
        kept = [row_of(item) for item in self.pages("scan", ConsistentRead=True) if "data" in item and "type" in item]
        return sorted((row for row in kept if source in (None, row.source)), key=lambda row: (row.source, row.key))

    def pending(self) -> list:
        """Buckets (summary and hour) with windows that no roll-up has seen. The index holds nothing else."""
        return sorted({item["pending"]["S"] for item in self.pages("scan", IndexName="by_pending")})

    def bucket(self, bucket: str) -> list:
        """All windows of a bucket, the retired ones too. An index is a moment behind (eventually consistent): what it does not show yet
        still waits in `by_pending` and is rolled up next time."""
        items = self.by_bucket(bucket)
        return sorted((row_of(item) for item in items), key=lambda row: (row.source, row.key))

    def by_bucket(self, bucket: str):
        return self.pages("query", IndexName="by_bucket", KeyConditionExpression="#bucket = :bucket",
                          ExpressionAttributeNames={"#bucket": "bucket"}, ExpressionAttributeValues={":bucket": {"S": bucket}})  # fmt: skip

    def pages(self, kind: str, **arguments):
        for page in self.client.get_paginator(kind).paginate(TableName=self.table, **arguments):
            yield from page["Items"]

    def settle(self, rows: list) -> None:
        """These are rolled up, unless they have changed since they were read."""

        def one(row: Row) -> None:
            try:
                self.client.update_item(
                    TableName=self.table, Key=name_of(row.source, row.key), UpdateExpression="REMOVE #pending",
                    ConditionExpression="revision = :revision AND attribute_exists(#pending)",
                    ExpressionAttributeNames={"#pending": "pending"}, ExpressionAttributeValues={":revision": typed(row.revision)},
                )  # fmt: skip
            except self.errors.ConditionalCheckFailedException:
                pass

        with ThreadPoolExecutor(PARALLEL) as pool:
            list(pool.map(one, rows))

    # Roll-ups live in the same table. No event's source begins like this: they all begin with "/".

    def rollup(self, level: str, series: str, start: str) -> Rollup | None:
        name = name_of(f"rollup:{level}:{series}", start)
        item = self.client.get_item(TableName=self.table, Key=name, ConsistentRead=True).get("Item")
        return rollup_of(item) if item else None

    def history(self, level: str, series: str, start: str, end: str) -> list:
        """Those of one series that begin from `start` to before `end`. Read from the table itself, so that nothing written is missed."""
        items = self.pages(
            "query", KeyConditionExpression="#source = :source AND #key BETWEEN :start AND :end", ConsistentRead=True,
            ExpressionAttributeNames={"#source": "source", "#key": "key"},
            ExpressionAttributeValues={":source": typed(f"rollup:{level}:{series}"), ":start": typed(start), ":end": typed(end)},
        )  # fmt: skip
        return [rollup_of(item) for item in items if item["key"]["S"] < end]

    def rollups(self, level: str, start: str, end: str) -> list:
        """Those that begin from `start` to before `end`. One query per hour or day of that time."""
        found = [rollup_of(item) for begin in starts(level, start, end) for item in self.by_bucket(f"rollup:{level}:{begin}")]
        return sorted(found, key=lambda rollup: (rollup.series, rollup.start))

    def put_rollup(self, new: Rollup) -> bool:
        """Writes the next version. False: another run has written since; read again what it is computed from."""
        values = {"version": new.version, "bucket": f"rollup:{new.level}:{new.start}",
                  "data": json.dumps(new.data, ensure_ascii=False)}  # fmt: skip
        name = f"rollup:{new.level}:{new.series}"
        if new.version == 1:
            return self.update(name, new.start, values, "attribute_not_exists(version)")
        return self.update(name, new.start, values, "version = :known", new.version - 1)

    def put_anomalies(self, series: str, start: str, found: dict) -> None:
        """What is unusual about an hour, by name; replaces what was said of it before."""
        name = name_of(f"anomalies:{series}", start)
        if found:
            item = {**name, "bucket": {"S": "anomalies"}, "data": {"S": json.dumps(found, ensure_ascii=False)}}
            self.client.put_item(TableName=self.table, Item=item)
        else:
            self.client.delete_item(TableName=self.table, Key=name)

    def anomalies(self) -> list:
        said = sorted((item["key"]["S"], item["source"]["S"], item["data"]["S"]) for item in self.by_bucket("anomalies"))
        return [data for _, _, found in said for _, data in sorted(json.loads(found).items())]


def attempt(work):
    """`work`, as one that gives its result and what it raised, so that one item does not stop the others."""

    def attempted(item):
        try:
            return work(item), None
        except Exception as problem:
            return None, problem

    return attempted


def starts(level: str, start: str, end: str):
    from ..rollup import LEVELS, moment, rfc3339

    at, until = moment(start), moment(end)
    while at < until:
        yield rfc3339(at)
        at += LEVELS[level]


def name_of(source: str, key: str) -> dict:
    return {"source": {"S": source}, "key": {"S": key}}


def typed(value) -> dict:
    return {"N": str(value)} if isinstance(value, int) else {"S": value}


def row_of(item: dict) -> Row:
    data = item.get("data", {}).get("S")
    return Row(item["source"]["S"], item["key"]["S"], int(item["revision"]["N"]), json.loads(data) if data else None)


def rollup_of(item: dict) -> Rollup:
    level, series = item["source"]["S"].split(":", 2)[1:]
    return Rollup(level, series, item["key"]["S"], int(item["version"]["N"]), json.loads(item["data"]["S"]))
