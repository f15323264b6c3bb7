"""Google Cloud Run functions. `ingest` takes events by HTTP, one or a batch; `timer` is for Cloud Scheduler."""

import functions_framework
from tidegate_functions import answer, jobs
from tidegate_functions.ingest import text
from tidegate_functions.store import shared_store

JSON = {"Content-Type": "application/json"}


@functions_framework.http
def ingest(request):
    status, outcome = answer(request.get_data(cache=False), request.headers, shared_store())
    return text(outcome), status, JSON


@functions_framework.http
def timer(request):
    return text(jobs.run(shared_store())), 200, JSON
