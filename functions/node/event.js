// What a gateway sends, checked (docs/events.md). The same rules as functions/python/tidegate_functions/event.py.

const SUMMARY = 'tidegate.summary.v1';
const KNOWN = new Set([SUMMARY, 'tidegate.alert.v1', 'tidegate.capture.v1', 'tidegate.raw.v1', 'tidegate.heartbeat.v1']);
const MOMENT = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?Z$/;

// The revision of a retired key: above every real one, so that "the highest revision wins" is the only rule.
export const RETIRED = Number.MAX_SAFE_INTEGER;

export class Malformed extends Error {}

/** The events of a request body; `headers` have names in lower case. */
export function itemsOf(body, headers) {
  let content;
  try {
    content = JSON.parse(body);
  } catch {
    throw new Malformed('the body is no JSON');
  }
  if (headers['ce-id'] !== undefined) {
    const attributes = Object.entries(headers).filter(([name]) => name.startsWith('ce-'));
    return [{ ...Object.fromEntries(attributes.map(([name, value]) => [name.slice(3), value])), data: content }];
  }
  if (Array.isArray(content)) return content;
  if (Array.isArray(content?.events) && content.specversion === undefined) return content.events;
  return [content];
}

/** Checks every event. Throws `Malformed` where one is so broken that the answer cannot even name it. */
export function read(items) {
  const arrived = { events: [], failed: [], ignored: 0 };
  for (const item of items) {
    try {
      const event = check(item);
      if (event) arrived.events.push(event);
      else arrived.ignored += 1;
    } catch (problem) {
      if (!(problem instanceof Malformed) || typeof item?.id !== 'string' || item.id === '') throw problem;
      arrived.failed.push({ id: item.id, retry: false, reason: problem.message });
    }
  }
  return arrived;
}

function check(item) {
  need(isObject(item), 'an event is a JSON object');
  need(item.specversion === '1.0', 'specversion is 1.0');
  need(typeof item.id === 'string' && item.id !== '', 'an event has an id');
  need(typeof item.type === 'string' && item.type !== '', 'an event has a type');
  need(isText(item.source, 2048) && item.source.startsWith('/'), 'source is a path of at most 2,048 bytes');
  if (!KNOWN.has(item.type)) return null;
  const { data } = item;
  need(isObject(data), 'data is a JSON object');
  need(isText(data.key, 1024), 'data.key is a text of at most 1,024 bytes');
  const { revision, replaces = [] } = data;
  need(Number.isSafeInteger(revision) && revision >= 0 && revision < RETIRED, 'data.revision is a whole number from 0');
  need(Array.isArray(replaces) && replaces.length <= 10_000, 'data.replaces is a list');
  need(replaces.every((key) => isText(key, 1024)), 'data.replaces holds keys');
  if (item.type === SUMMARY) {
    need(isText(data.summary, 1024), 'data.summary is a text');
    need(['start', 'end'].every((edge) => isText(data.window?.[edge], 64)), 'data.window has a start and an end');
  }
  const retires = [...new Set(replaces)].filter((key) => key !== data.key);
  return { id: item.id, source: item.source, type: item.type, key: data.key, revision, retires, data, bucket: bucketOf(item) };
}

/** The summary and the hour that a window counts for; undefined for what cannot be rolled up. */
function bucketOf({ type, data }) {
  const fits = type === SUMMARY && data.state !== undefined && data.clock === 'synchronised' && MOMENT.test(data.window.start) && !Number.isNaN(Date.parse(data.window.start));
  return fits ? `${data.summary}/${data.window.start.slice(0, 13)}` : undefined;
}

function isObject(value) {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isText(value, longest) {
  return typeof value === 'string' && value !== '' && value.isWellFormed() && Buffer.byteLength(value) <= longest && !value.includes('\0');
}

function need(holds, what) {
  if (!holds) throw new Malformed(what);
}
