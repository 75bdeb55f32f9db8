// The address of a sender, behind the trusted proxies: one rule for the API, the receiver and the bound on connections.
import type { IncomingMessage } from 'node:http';
import { isIP, type Socket } from 'node:net';
import proxyAddr from '@fastify/proxy-addr';

export type Sender = ReturnType<typeof createSender>;

/** Without `::ffff:`, and without a zone such as `%eth0`, which may be of any length. */
const plain = (address: string): string => {
  const bare = address.replace(/%.*$/s, '');
  return bare.startsWith('::ffff:') && bare.includes('.') ? bare.slice(7) : bare;
};

const isLoopback = (address: string): boolean => address === '::1' || address.startsWith('127.');

/** `trust`: addresses, CIDR networks, or loopback, linklocal, uniquelocal. Empty: no header is trusted. */
export function createSender(trust: readonly string[], warn: (message: string) => void) {
  const trusted = trust.length > 0 ? proxyAddr.compile([...trust]) : undefined;
  let warned = false;
  return {
    /** The other end of a connection. An address such as ::ffff:1.2.3.4 is given as IPv4. */
    peer: (socket: Socket): string => plain(socket.remoteAddress ?? ''),
    /** True for a trusted proxy, and for a program on this machine, which is one as a rule: behind it are many senders. */
    isProxy: (address: string): boolean =>
      isLoopback(address) || (isIP(address) !== 0 && (trusted?.(address, 0) ?? false)),
    /** IPv4 or IPv6, at most 45 characters. An address such as ::ffff:1.2.3.4 is given as IPv4. */
    address(request: IncomingMessage): string {
      const address = trusted ? plain(proxyAddr(request, trusted)) : '';
      return isIP(address) ? address : plain(request.socket.remoteAddress ?? '');
    },
    /** True when X-Forwarded-For arrives and no proxy is trusted: all senders may have the proxy's address. */
    blind(request: IncomingMessage): boolean {
      if (trusted || request.headers['x-forwarded-for'] === undefined) return false;
      if (!warned)
        warn(
          'X-Forwarded-For arrives but TRUST_PROXY is not set: all senders look like your proxy. Set TRUST_PROXY to its address.',
        );
      warned = true;
      return true;
    },
  };
}

/** One key per IPv6 /64: a household or a server has a whole one. */
export const limitKey = (address: string): string =>
  address.includes(':') ? expandIpv6(address).slice(0, 4).join(':') : address;

function expandIpv6(address: string): string[] {
  const [left = '', right] = address.split('::');
  const groups = (text: string) =>
    text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16).toString(16));
  const head = groups(left);
  const tail = right === undefined ? [] : groups(right);
  return [...head, ...Array(Math.max(0, 8 - head.length - tail.length)).fill('0'), ...tail];
}
