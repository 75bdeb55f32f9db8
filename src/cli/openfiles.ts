// What the system allows this process: how many files and sockets, how many of them strangers may take, and the listen backlog.
import { readFileSync } from 'node:fs';

/** Of this process, on Linux; Node has raised the soft limit to the hard one. Undefined: nobody knows. */
export function openFileLimit(): number | undefined {
  try {
    const [, limit] = /^Max open files\s+(\d+|unlimited)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? [];
    return limit === 'unlimited' ? Number.POSITIVE_INFINITY : limit ? Number(limit) : undefined;
  } catch {
    return undefined;
  }
}

/** Of this network namespace, on Linux; what `listen` asks for is lowered to it. Undefined: nobody knows. */
export function readSomaxconn(): number | undefined {
  try {
    return Number(readFileSync('/proc/sys/net/core/somaxconn', 'utf8'));
  } catch {
    return undefined;
  }
}

// Connections to the database, its files, the log, and what Node itself needs.
const OURS = 100;

/**
 * Connections from outside that are taken at once. Without a bound a flood takes every descriptor, and the database cannot
 * be reached any more; beyond it a connection is closed at once, and whoever sends comes again.
 */
export function mostConnections(limit = openFileLimit()): number | undefined {
  return limit === undefined || limit === Number.POSITIVE_INFINITY ? undefined : Math.max(OURS, limit - OURS);
}
