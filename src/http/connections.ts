// Bounds open connections: in all, so that the database keeps its descriptors, and per address, so that one does not lock out others.
import { readFileSync } from 'node:fs';
import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { limitKey, type Sender } from './address.ts';

/** Of this process, on Linux; Node has raised the soft limit to the hard one. Undefined when it cannot be read. */
export function openFileLimit(): number | undefined {
  try {
    const [, limit] = /^Max open files\s+(\d+|unlimited)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? [];
    return limit === 'unlimited' ? Number.POSITIVE_INFINITY : limit ? Number(limit) : undefined;
  } catch {
    return undefined;
  }
}

/** With fewer, `serve` and `restante doctor` warn: a thousand clients that wait take a thousand. */
export const LEAST_FILES = 4_096;
// Connections to the database, its files, the log, and what Node itself needs.
const OURS = 100;

/**
 * Connections from outside that are taken at once. Without a bound a flood takes every descriptor, and the database cannot
 * be reached any more. Beyond it a connection is closed at once, and the sender tries again.
 */
export function mostConnections(limit = openFileLimit()): number | undefined {
  return limit === undefined || limit === Number.POSITIVE_INFINITY ? undefined : Math.max(OURS, limit - OURS);
}

/** One address has no more than half of all, however high its setting is. */
export const mostOfAddress = (setting: number, inAll: number | undefined): number =>
  Math.min(setting, Math.floor((inAll ?? Number.POSITIVE_INFINITY) / 2));

// From this share of all on, connections that do nothing are closed, of the address that has the most, a tenth of all at a time.
const FULL = 0.9;
const CLOSED_AT_ONCE = 0.1;
// After a look that found nothing to close: looking takes a millisecond for ten thousand connections.
const NEXT_LOOK_MS = 1_000;

interface Bounds {
  /** CONNECTIONS_PER_ADDRESS. */
  readonly perAddress: number;
  /** In all; undefined: the system has no limit. */
  readonly inAll?: number | undefined;
  readonly sender: Pick<Sender, 'peer' | 'isProxy'>;
  /** Told of connections that are closed: at accept because there are too many in all, or of an address, or while idle. */
  readonly onClosed: (why: 'connections' | 'address' | 'idle', count: number, address?: string) => void;
}

/** node:http keeps the answer that is under way on its socket, which its types leave out. */
const isIdle = (socket: Socket): boolean => !(socket as { readonly _httpMessage?: unknown })._httpMessage;

export function boundConnections(server: Server, { perAddress, inAll, sender, onClosed }: Bounds): void {
  const most = mostOfAddress(perAddress, inAll);
  /** The connections of each address, the oldest first. Proxies are left out: all senders behind one have its address. */
  const byAddress = new Map<string, Set<Socket>>();
  let open = 0;
  let nextLook = 0;

  if (inAll !== undefined) {
    server.maxConnections = inAll;
    server.on('drop', () => onClosed('connections', 1));
  }
  server.on('connection', (socket) => {
    open++;
    socket.once('close', () => {
      open--;
    });
    const address = sender.peer(socket);
    if (!sender.isProxy(address)) take(limitKey(address), socket);
    if (inAll !== undefined && open > inAll * FULL) closeIdle(inAll * CLOSED_AT_ONCE);
  });

  function take(key: string, socket: Socket): void {
    const sockets = byAddress.get(key);
    if (sockets && sockets.size >= most) {
      socket.destroy();
      onClosed('address', 1, key);
      return;
    }
    if (sockets) sockets.add(socket);
    else byAddress.set(key, new Set([socket]));
    socket.once('close', () => {
      const left = byAddress.get(key);
      left?.delete(socket);
      if (left?.size === 0) byAddress.delete(key);
    });
  }

  /** Also those that have begun a request and do not end its headers. */
  function closeIdle(atMost: number): void {
    const now = performance.now();
    if (now < nextLook) return;
    let closed = 0;
    for (const [, sockets] of [...byAddress].sort(([, a], [, b]) => b.size - a.size)) {
      // The newest is the one that came now.
      for (const socket of [...sockets].slice(0, -1)) {
        if (closed >= atMost) break;
        if (!isIdle(socket)) continue;
        socket.destroy();
        closed++;
      }
      if (closed > 0) break;
    }
    if (closed > 0) onClosed('idle', closed);
    else nextLook = now + NEXT_LOOK_MS;
  }
}
