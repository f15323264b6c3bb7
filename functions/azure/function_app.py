"""Azure Functions, Python programming model v2: `ingest` takes events by HTTP, one or a batch; `timer` runs every hour."""

import logging

import azure.functions as func
from tidegate_functions import answer, jobs
from tidegate_functions.ingest import text
from tidegate_functions.store import shared_store

app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)


@app.route(route="ingest", methods=["POST"])
def ingest(req: func.HttpRequest) -> func.HttpResponse:
    status, outcome = answer(req.get_body(), req.headers, shared_store())
    return func.HttpResponse(text(outcome), status_code=status, mimetype="application/json")


# Five minutes after the hour: second, minute, hour, day, month, day of the week.
@app.timer_trigger(schedule="0 5 * * * *", arg_name="timer")
def hourly(timer: func.TimerRequest) -> None:
    logging.info("rolled up: %s", text(jobs.run(shared_store())))
