// The function under functions-framework, over HTTP, before dynalite: duplicates, disorder, `replaces`, and requests that are broken.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { DynamoDBClient, ScanCommand } from '@aws-sdk/client-dynamodb';
import { getTestServer } from '@google-cloud/functions-framework/testing';
import dynalite from 'dynalite';
import { RETIRED } from '../event.js';
import { createTable } from '../local/table.js';

const SOURCE = '/gateways/greenhouse-7/j4bzf3';
const BATCH = 'application/cloudevents-batch+json';
const database = dynalite({ createTableMs: 0 });
let client;
let server;
let url;

before(async () => {
  await new Promise((resolve) => database.listen(0, '127.0.0.1', resolve));
  process.env.DYNAMODB_ENDPOINT = `http://127.0.0.1:${database.address().port}`;
  Object.assign(process.env, { AWS_REGION: 'eu-west-1', AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test' });
  client = new DynamoDBClient({ endpoint: process.env.DYNAMODB_ENDPOINT });
  await createTable(client, 'tidegate');
  await import('../index.js');
  server = getTestServer('ingest');
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${server.address().port}/`;
});

after(async () => {
  server.close();
  client.destroy();
  await new Promise((resolve) => database.close(resolve));
});

function summary(n, { revision = 0, replaces = [], source = SOURCE, length = 60, ...data } = {}) {
  const start = `2026-11-22T19:${String(n).padStart(2, '0')}:00Z`;
  const key = `minute/temperature/dev3/${start}/${length}s`;
  const window = { start, end: '2026-11-22T20:00:00Z' };
  const own = { key, revision, replaces, summary: 'minute', window, values: { count: n + revision }, clock: 'synchronised', ...data };
  return { specversion: '1.0', type: 'tidegate.summary.v1', source, id: `${key}/r${revision}`, data: own };
}

async function send(content, headers = { 'content-type': BATCH }, pack = (body) => body) {
  const response = await fetch(url, { method: 'POST', headers, body: pack(JSON.stringify(content)) });
  assert.match(response.headers.get('content-type'), /json/);
  return [response.status, await response.json()];
}

async function table(source) {
  const { Items } = await client.send(new ScanCommand({ TableName: 'tidegate', ConsistentRead: true }));
  const own = Items.filter((item) => item.source.S === source && Number(item.revision.N) < RETIRED);
  return Object.fromEntries(own.map((item) => [item.key.S, JSON.parse(item.data.S)]));
}

const outcome = (counts) => [200, { stored: 0, stale: 0, retired: 0, ignored: 0, failed: [], ...counts }];

test('the highest revision wins, and a retired key stays retired', async () => {
  const source = '/gateways/a/1';
  const old = summary(0, { source });
  assert.deepEqual(await send([summary(0, { source, revision: 2 }), summary(1, { source })]), outcome({ stored: 2 }));
  assert.deepEqual(await send(old, { 'content-type': 'application/cloudevents+json' }), outcome({ stale: 1 }));
  const merged = summary(0, { source, length: 120, replaces: [old.data.key, summary(1).data.key, summary(2).data.key] });
  assert.deepEqual(await send([merged]), outcome({ stored: 1, retired: 3 }));
  const late = [summary(2, { source }), summary(0, { source, revision: 7 }), merged];
  assert.deepEqual(await send({ events: late }, { 'content-type': 'application/json' }), outcome({ stale: 3 }));
  assert.deepEqual(await table(source), { [merged.data.key]: merged.data });
});

test('any order, any repetition, and requests at the same time give one table', async () => {
  const source = '/gateways/b/1';
  const events = [];
  for (let n = 0; n < 12; n += 1) for (let revision = 0; revision <= n % 4; revision += 1) events.push(summary(n, { source, revision }));
  events.push(summary(4, { source, length: 120, replaces: [summary(4).data.key, summary(5).data.key] }));
  let seed = 7;
  const random = (bound) => (seed = (seed * 48271) % 2147483647) % bound;
  const batches = Array.from({ length: 12 }, () => Array.from({ length: 9 }, () => events[random(events.length)]));
  await Promise.all([...batches, events].map(async (batch) => assert.deepEqual((await send(batch))[1].failed, [])));
  const expected = {};
  for (const { data } of events) if (!(expected[data.key]?.revision >= data.revision)) expected[data.key] = data;
  for (const { data } of events) for (const key of data.replaces) delete expected[key];
  assert.deepEqual(await table(source), expected);
});

test('binary mode and gzip', async () => {
  const source = '/gateways/c/1';
  const { data, ...attributes } = summary(3, { source });
  const names = Object.entries(attributes).map(([name, value]) => [`ce-${name}`, value]);
  assert.deepEqual(await send(data, { ...Object.fromEntries(names), 'content-type': 'application/json' }), outcome({ stored: 1 }));
  assert.deepEqual(await send([summary(3, { source })], { 'content-type': BATCH, 'content-encoding': 'gzip' }, gzipSync), outcome({ stale: 1 }));
});

test('a malformed event is named, one of another type ignored, the others are kept', async () => {
  const source = '/gateways/d/1';
  for (const broken of [{ revision: -1 }, { revision: 1.5 }, { key: '' }, { replaces: 'x' }, { replaces: [7] }, { window: {} }, { summary: 7 }]) {
    const bad = summary(8, { source, ...broken });
    const [status, answer] = await send([bad, { ...summary(9, { source }), type: 'other' }, summary(9, { source })]);
    assert.deepEqual([status, answer.ignored, answer.stored + answer.stale], [200, 1, 1]);
    assert.deepEqual(answer.failed.map(({ id, retry }) => [id, retry]), [[bad.id, false]]);
  }
  assert.deepEqual(Object.keys(await table(source)), [summary(9).data.key]);
  assert.equal((await send([{}]))[0], 400);
});

test('what waits for a roll-up says for which hour', async () => {
  const source = '/gateways/e/1';
  await send([summary(1, { source, state: 'AQ==' }), summary(2, { source, state: 'AQ==', clock: 'unsynchronised' })]);
  await send([summary(3, { source, replaces: [summary(1).data.key] })]);
  const { Items } = await client.send(new ScanCommand({ TableName: 'tidegate', ConsistentRead: true }));
  const own = Items.filter((item) => item.source.S === source).sort((a, b) => (a.key.S < b.key.S ? -1 : 1));
  assert.deepEqual(own.map((item) => item.pending?.S), ['minute/2026-11-22T19', undefined, undefined]);
  assert.equal(own[0].data, undefined);
});

test('a table that is away confirms nothing and refuses nothing', async (context) => {
  context.mock.method(console, 'error', () => {});
  const { Store } = await import('../store.js');
  const away = new Store('nowhere', client);
  const { events } = (await import('../event.js')).read([summary(0)]);
  await assert.rejects(away.put(events), { name: 'ResourceNotFoundException' });
});
