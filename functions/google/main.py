"""Google Cloud Run functions. `ingest` takes events by HTTP, one or a batch."""

import functions_framework
from tidegate_functions import answer
from tidegate_functions.ingest import text
from tidegate_functions.store import shared_store


@functions_framework.http
def ingest(request):
    status, outcome = answer(request.get_data(cache=False), request.headers, shared_store())
    return text(outcome), status, {"Content-Type": "application/json"}
