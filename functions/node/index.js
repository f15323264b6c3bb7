// `ingest` takes events by HTTP, one or a batch, on Google Cloud Run functions or anywhere else that functions-framework runs.
// TIDEGATE_TABLE names the DynamoDB table.

import functions from '@google-cloud/functions-framework';
import { Malformed, itemsOf, read } from './event.js';
import { Store } from './store.js';

const store = new Store(process.env.TIDEGATE_TABLE ?? 'tidegate');

functions.http('ingest', async (request, response) => {
  try {
    // functions-framework has unpacked gzip already.
    const arrived = read(itemsOf(request.rawBody ?? '', request.headers));
    const outcome = await store.put(arrived.events);
    response.json({ ...outcome, ignored: arrived.ignored, failed: [...arrived.failed, ...outcome.failed] });
  } catch (problem) {
    if (problem instanceof Malformed) {
      response.status(400).json({ error: problem.message });
    } else {
      console.error('the store took nothing:', problem);
      response.status(503).json({ error: "the store took nothing; the function's log says why" });
    }
  }
});
