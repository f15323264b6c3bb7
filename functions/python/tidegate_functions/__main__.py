"""The command line: `tidegate-functions --store URL run|rows|rollups|totals|anomalies`. Prints JSON."""

from __future__ import annotations

import argparse
import json

from . import analyse, jobs, open_store


def main() -> None:
    parser = argparse.ArgumentParser(prog="tidegate-functions", description="What a timer calls, by hand; and what is in the store.")
    parser.add_argument("--store", help="default: the environment variable TIDEGATE_STORE")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("run", help="roll up hours and days, and look for what is unusual")
    commands.add_parser("rows", help="every event that counts, one a line")
    commands.add_parser("anomalies", help="hours that are unlike the same hour of the weeks before, one a line")
    for name, what in (("rollups", "hours or days of each series, one a line"), ("totals", "what they come to by site")):
        command = commands.add_parser(name, help=what)
        command.add_argument("--level", choices=("hour", "day"), default="day")
        command.add_argument("--start", required=True, help="2026-11-22T00:00:00Z")
        command.add_argument("--end", required=True, help="the first moment that does not belong to it")
    arguments = parser.parse_args()
    try:
        store = open_store(arguments.store)
    except ValueError as problem:
        parser.error(str(problem))
    if arguments.command == "run":
        show(jobs.run(store))
    elif arguments.command == "rows":
        for row in store.rows():
            show({"source": row.source, "key": row.key, "revision": row.revision, "data": row.data})
    elif arguments.command == "anomalies":
        for found in store.anomalies():
            show(found)
    elif arguments.command == "rollups":
        for rollup in store.rollups(arguments.level, arguments.start, arguments.end):
            if rollup.data:
                show(rollup.data)
    else:
        show(analyse.totals(store, arguments.level, arguments.start, arguments.end))
    store.close()


def show(value) -> None:
    print(json.dumps(value, ensure_ascii=False))


if __name__ == "__main__":
    main()
