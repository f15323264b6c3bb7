// The DynamoDB table of functions/python/tidegate_functions/store/dynamodb.py: what one writes the other reads, and rolls up.

import { DynamoDBClient, GetItemCommand, UpdateItemCommand } from '@aws-sdk/client-dynamodb';
import { RETIRED } from './event.js';

const PARALLEL = 8;
const ATTEMPTS = 20;

export class Store {
  constructor(table, client = new DynamoDBClient({ endpoint: process.env.DYNAMODB_ENDPOINT })) {
    this.table = table;
    this.client = client;
  }

  /** Stores events and retires what they replace. An event comes first, so that at no moment a reading is in no window. */
  async put(events) {
    const outcome = { stored: 0, stale: 0, retired: 0, failed: [] };
    const problems = new Map();
    const kept = await inParallel(events, (event) => this.keep(event));
    events.forEach((event, n) => {
      if (kept[n].reason) problems.set(event, kept[n].reason);
      else outcome[kept[n].value ? 'stored' : 'stale'] += 1;
    });
    const keys = events.filter((event) => !problems.has(event)).flatMap((event) => event.retires.map((key) => ({ event, key })));
    const retired = await inParallel(keys, ({ event, key }) => this.retire(event.source, key));
    keys.forEach(({ event }, n) => {
      if (retired[n].reason) problems.set(event, retired[n].reason);
      else outcome.retired += Number(retired[n].value);
    });
    const [first] = problems.values();
    if (problems.size > 0 && problems.size === events.length && ![...problems.values()].some(isTooLarge)) throw first;
    for (const [event, problem] of problems) outcome.failed.push({ id: event.id, retry: !isTooLarge(problem) });
    return outcome;
  }

  keep({ source, key, revision, type, data, bucket }) {
    const values = { revision, type, data: JSON.stringify(data), bucket, pending: bucket };
    return this.update(source, key, values, 'attribute_not_exists(revision) OR revision < :revision');
  }

  /** Puts the highest revision. A window that was there keeps its hour and waits for a roll-up without it. */
  async retire(source, key) {
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      const { Item: known } = await this.client.send(
        new GetItemCommand({ TableName: this.table, Key: nameOf(source, key), ConsistentRead: true }),
      );
      if (known === undefined) {
        if (await this.update(source, key, { revision: RETIRED }, 'attribute_not_exists(revision)')) return true;
      } else if (Number(known.revision.N) === RETIRED) {
        return false;
      } else {
        const values = { revision: RETIRED, pending: known.bucket?.S };
        if (await this.update(source, key, values, 'revision = :known', { ':known': known.revision }, ' REMOVE #data')) return true;
      }
    }
    throw new Error(`${key} changed ${ATTEMPTS} times while it was retired`);
  }

  /** One conditional write. False: the condition does not hold. */
  async update(source, key, values, condition, given = {}, remove = '') {
    const entries = Object.entries(values).filter(([, value]) => value !== undefined);
    const names = Object.fromEntries(entries.map(([name]) => [`#${name}`, name]));
    if (remove) names['#data'] = 'data';
    const update = {
      TableName: this.table,
      Key: nameOf(source, key),
      UpdateExpression: `SET ${entries.map(([name]) => `#${name} = :${name}`).join(', ')}${remove}`,
      ConditionExpression: condition,
      ExpressionAttributeNames: names,
      ExpressionAttributeValues: { ...Object.fromEntries(entries.map(([name, value]) => [`:${name}`, typed(value)])), ...given },
    };
    try {
      await this.client.send(new UpdateItemCommand(update));
      return true;
    } catch (problem) {
      if (problem.name === 'ConditionalCheckFailedException') return false;
      throw problem;
    }
  }
}

async function inParallel(items, work) {
  const results = [];
  for (let at = 0; at < items.length; at += PARALLEL) {
    results.push(...(await Promise.allSettled(items.slice(at, at + PARALLEL).map(work))));
  }
  return results;
}

/** No later try will be better: an item has at most 400 KB. */
function isTooLarge(problem) {
  return problem.name === 'ValidationException' && /size/i.test(problem.message);
}

function nameOf(source, key) {
  return { source: { S: source }, key: { S: key } };
}

function typed(value) {
  return typeof value === 'number' ? { N: String(value) } : { S: value };
}
