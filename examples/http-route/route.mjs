// A route that serves the metrics of this process to Prometheus.
//
// Node alone:  createServer((request, response) => route(request, response))
// Express:     app.get('/metrics', metricsRoute(metrics))
// Fastify:     app.get('/metrics', (request, reply) => {
//                reply.hijack(); // the route answers by itself
//                metricsRoute(metrics)(request.raw, reply.raw);
//              });

import { contentType, expositionBytes } from 'vmm-metrics/prometheus';

/** A handler of requests, as node:http and Express call it. `labels` are those of every sample. */
export function metricsRoute(metrics, labels = {}) {
  return (_request, response) => {
    response.setHeader('Content-Type', contentType('text'));
    response.end(expositionBytes(metrics, { labels }));
  };
}
