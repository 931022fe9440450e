// Serves the metrics of a small program on http://127.0.0.1:9100/metrics, or on the port of the first argument.

import { createServer } from 'node:http';
import { defineSchema, group, inc, latency, Metrics } from 'vmm-metrics';

import { metricsRoute } from './route.mjs';

const schema = defineSchema({
  http: group({ requests: inc('Requests'), time_agg: latency('Time to answer a request', { histogram: true }) }),
});
const metrics = Metrics.open(schema, { name: 'http-route' });
const { http } = metrics.app;
const route = metricsRoute(metrics, { service: 'hello' });

const server = createServer((request, response) => {
  if (request.url === '/metrics') return route(request, response);
  const record = http.time_agg.record();
  http.requests.inc();
  response.end('Hello\n', () => record.end());
});
server.listen(Number(process.argv[2] ?? 9100), '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}/metrics`));
process.on('SIGTERM', () => server.close(() => metrics.close()));
