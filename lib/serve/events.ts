// The same data again and again, to every client that listens: Server-Sent Events.

import type { ServerResponse } from 'node:http';

/** How often new data is sent. */
const INTERVAL_MS = 2000;
/** How many clients may listen. */
const CLIENTS_MAX = 64;

export interface EventSource {
  /** What is known without a look at any file. */
  readonly known: () => string;
  /** The newest data. It is called once for each time that data is sent. */
  readonly newest: () => string;
}

export class Events {
  readonly #source: EventSource;
  readonly #clients = new Set<ServerResponse>();
  #timer: NodeJS.Timeout | undefined;

  /** The texts of the source must contain no newline. */
  constructor(source: EventSource) {
    this.#source = source;
  }

  /**
   * Sends events to a client until the client leaves. The client gets what is known at once, then the newest data.
   * @returns False if too many clients listen already.
   */
  add(response: ServerResponse): boolean {
    if (this.#clients.size >= CLIENTS_MAX) return false;
    response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' });
    this.#clients.add(response);
    response.once('close', () => {
      this.#clients.delete(response);
      if (this.#clients.size === 0) this.close();
    });
    response.write(eventOf(this.#source.known()));
    setImmediate(() => this.#send([response])); // when the first event has left
    this.#timer ??= setInterval(() => this.#send(this.#clients), INTERVAL_MS);
    return true;
  }

  close(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    for (const client of this.#clients) client.end();
  }

  /** A client that has not read the last event misses this one. */
  #send(clients: Iterable<ServerResponse>): void {
    const event = eventOf(this.#source.newest());
    for (const client of clients) if (client.writableLength === 0) client.write(event);
  }
}

const eventOf = (data: string) => `data: ${data}\n\n`;
