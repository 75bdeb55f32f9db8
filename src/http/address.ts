// The address of a sender, behind the trusted proxies: one rule for the API and the receiver.
import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import proxyAddr from '@fastify/proxy-addr';

export type Sender = ReturnType<typeof createSender>;

/** Without `::ffff:`, and without a zone such as `%eth0`, which may be of any length. */
const plain = (address: string): string => {
  const bare = address.replace(/%.*$/s, '');
  return bare.startsWith('::ffff:') && bare.includes('.') ? bare.slice(7) : bare;
};

/** `trust`: addresses, CIDR networks, or loopback, linklocal, uniquelocal. Empty: no header is trusted. */
export function createSender(trust: readonly string[], warn: (message: string) => void) {
  const trusted = trust.length > 0 ? proxyAddr.compile([...trust]) : undefined;
  let warned = false;
  return {
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
