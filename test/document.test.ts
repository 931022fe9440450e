// The document of a region: the description of a store as JSON text, written and read again.

import { describe, expect, test } from 'vitest';

import { documentFrom, documentOf } from '../lib/document.ts';
import * as here from '../lib/schema.ts';

describe('given the document of a store', () => {
  const schema = here.defineSchema({
    at: here.utcTimestampMs(),
    g: here.group({
      a: here.inc('a "doc"', { unit: 'bytes', onSignal: 'SIGTERM' }),
      b: here.store('b', { startTime: 'wall', onPanic: true }),
      c: here.latency(''),
    }),
    d: here.perDevice({ low: here.store('low', { aggregate: 'min' }) }, { aggregate: false, latencyAggregate: 'zero' }),
  });

  test('when it is read again, then it describes the same store', () => {
    const identity = { id: 'é\u{1f600}', properties: { ['__proto__']: 'x', 10: 'y' } };
    const again = documentFrom(documentOf('vm0', schema, identity));
    expect(again).toEqual({ name: 'vm0', schema, identity });
    expect(Object.keys(again.schema.shape)).toEqual(['at', 'g', 'd']);
    expect(here.schemaOf(again.schema)).toBe(again.schema);
    expect(documentFrom(documentOf('vm0', schema, {}))).toEqual({ name: 'vm0', schema, identity: {} });
  });

  test.each([
    { text: '{"name":', says: 'is not JSON' },
    { text: '[]', says: 'the document must be an object' },
    {
      text: '{"name":"x","schema":{"g":{"kind":"grup"}}}',
      says: "schema.g.kind must be 'utcTimestampMs', 'group' or 'perDevice'; got 'grup'",
    },
    {
      text: '{"name":"x","schema":{"g":{"kind":"group","fields":{"a":{"kind":"sum","doc":""}}}}}',
      says: "schema.g.fields.a: must be a metric; got { kind: 'sum', doc: '' }",
    },
    {
      text: '{"name":"x","schema":{"g":{"kind":"group","fields":{"a":{"kind":"inc"}}}}}',
      says: 'schema.g.fields.a: inc(): doc must be a string',
    },
    { text: '{"name":"x","schema":{"g":{"kind":"group","fields":{},"x":1}}}', says: "schema.g has 'x', which this version does not know" },
    { text: '{"name":"x","schema":{"g":{"kind":"group","fields":{}}}}', says: 'g: must not be empty' },
    {
      text: '{"name":"x","schema":{"__proto__":{"kind":"group","fields":{"a":{"kind":"inc","doc":""}}}}}',
      says: "the schema: '__proto__' is a reserved key",
    },
    {
      text: '{"name":"x","id":"y","schema":{"id":{"kind":"utcTimestampMs"}}}',
      says: "both the option 'id' and the schema define the key 'id' of the line",
    },
    { text: '{"name":1,"schema":{"t":{"kind":"utcTimestampMs"}}}', says: 'name must be a string' },
  ])('when it is $text, then it is refused with "$says"', ({ text, says }) => {
    expect(() => documentFrom(text)).toThrow(
      expect.objectContaining({ code: 'ERR_METRICS_REGION', message: expect.stringContaining(says) }),
    );
  });
});
