// The same data again and again, to every client that listens: Server-Sent Events.

import type { ServerResponse } from 'node:http';

/** How often new data is sent. */
const INTERVAL_MS = 2000;
/** How many clients may listen. */
const CLIENTS_MAX = 64;

export class Events {
  readonly #data: () => string;
  readonly #clients = new Set<ServerResponse>();
  #timer: NodeJS.Timeout | undefined;

  /** `data` is called once for each time that data is sent. It must contain no newline. */
  constructor(data: () => string) {
    this.#data = data;
  }

  /** Sends events to a client until the client leaves. Returns false if too many clients listen already. */
  add(response: ServerResponse): boolean {
    if (this.#clients.size >= CLIENTS_MAX) return false;
    response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' });
    this.#clients.add(response);
    response.once('close', () => {
      this.#clients.delete(response);
      if (this.#clients.size === 0) this.close();
    });
    response.write(eventOf(this.#data()));
    this.#timer ??= setInterval(() => this.#send(), INTERVAL_MS);
    return true;
  }

  close(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    for (const client of this.#clients) client.end();
  }

  /** A client that has not read the last event misses this one. */
  #send(): void {
    const event = eventOf(this.#data());
    for (const client of this.#clients) if (client.writableLength === 0) client.write(event);
  }
}

const eventOf = (data: string) => `data: ${data}\n\n`;
