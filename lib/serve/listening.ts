// Where the agent listens: an address of this machine, or a Unix socket.

import { chmodSync, lstatSync, unlinkSync } from 'node:fs';
import { connect, isIP, type Server } from 'node:net';

export type Address = { readonly socketPath: string } | { readonly host: string; readonly port: number };

/** The default address: only this machine reaches it. */
export const DEFAULT_LISTEN = '127.0.0.1:9910';
/** A Unix socket is for the agent's user and group. */
const SOCKET_MODE = 0o660;

/**
 * The address in `HOST:PORT`, `[IPV6]:PORT`, `:PORT` or `unix:PATH`.
 * @throws RangeError if the text is none of these.
 */
export function addressFrom(text: string): Address {
  if (text.startsWith('unix:')) {
    const socketPath = text.slice('unix:'.length);
    // The kernel's limit, with the byte behind the path.
    if (socketPath === '' || Buffer.byteLength(socketPath) > 107 || socketPath.includes('\0')) {
      throw new RangeError(`the path in '${text}' must have 1 to 107 bytes`);
    }
    return { socketPath };
  }
  const [, v6, name, digits] = /^(?:\[([^\]]*)\]|([^:]*)):(\d{1,5})$/.exec(text) ?? [];
  const port = Number(digits);
  if (digits === undefined || port > 65_535 || (v6 !== undefined && isIP(v6) !== 6)) {
    throw new RangeError(`'${text}' is no address; use HOST:PORT, [IPV6]:PORT, :PORT or unix:PATH`);
  }
  return { host: v6 ?? (name === '' ? '::' : name!), port };
}

/** Whether only this machine reaches the address. A name other than localhost may mean anything. */
export function isLocal(address: Address): boolean {
  return 'socketPath' in address || isLoopback(address.host) || address.host === 'localhost';
}

/** Whether the IP address belongs to the loopback interface. */
export function isLoopback(ip: string): boolean {
  return ip === '::1' || /^(?:::ffff:)?127\.\d+\.\d+\.\d+$/i.test(ip);
}

/**
 * Listens. A socket file that a dead process left is replaced.
 * @returns Where a client reaches the server, for people.
 * @throws Error with Node's code, such as EADDRINUSE.
 */
export async function listen(server: Server, address: Address): Promise<string> {
  const listening = new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.once('listening', () => {
      server.off('error', reject);
      resolve();
    });
  });
  if (!('socketPath' in address)) {
    server.listen(address.port, address.host);
    await listening;
    const bound = server.address() as { address: string; family: string; port: number };
    return `http://${bound.address.includes(':') ? `[${bound.address}]` : bound.address}:${bound.port}`;
  }
  const { socketPath } = address;
  if (await isDeadSocket(socketPath)) unlinkSync(socketPath);
  // Nobody else may connect before the mode is set.
  const umask = process.umask(0o777);
  server.listen(socketPath);
  process.umask(umask);
  await listening;
  chmodSync(socketPath, SOCKET_MODE);
  return `unix:${socketPath}`;
}

/** Whether the path is a socket that no process serves. */
async function isDeadSocket(path: string): Promise<boolean> {
  if (!lstatSync(path, { throwIfNoEntry: false })?.isSocket()) return false;
  return new Promise((resolve) => {
    const probe = connect(path);
    probe.once('connect', () => {
      probe.destroy();
      resolve(false);
    });
    probe.once('error', ({ code }: NodeJS.ErrnoException) => resolve(code === 'ECONNREFUSED'));
  });
}
