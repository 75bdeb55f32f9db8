// Who sent a request: the address behind the trusted proxies, by one rule for the API and the receiver.
import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import proxyAddr from '@fastify/proxy-addr';

export interface Sender {
  /** IPv4, or IPv6 in full, 45 characters at most. Addresses such as ::ffff:1.2.3.4 are told as IPv4. */
  address(request: IncomingMessage): string;
  /** True while X-Forwarded-For arrives that nobody told us to believe: all senders may look like one. */
  blind(request: IncomingMessage): boolean;
}

/** Without `::ffff:`, and without the zone of `fe80::1%eth0`, which may be as long as its sender likes. */
const plain = (address: string): string => {
  const bare = address.replace(/%.*$/s, '');
  return bare.startsWith('::ffff:') && bare.includes('.') ? bare.slice(7) : bare;
};

/** `trust`: addresses, CIDR networks, or loopback, linklocal, uniquelocal. Empty: believe no header. */
export function createSender(trust: readonly string[], warn: (message: string) => void): Sender {
  let warned = false;
  if (trust.length > 0) {
    const trusted = proxyAddr.compile([...trust]);
    return {
      address(request) {
        const address = plain(proxyAddr(request, trusted));
        return isIP(address) ? address : plain(request.socket.remoteAddress ?? '');
      },
      blind: () => false,
    };
  }
  return {
    address: (request) => plain(request.socket.remoteAddress ?? ''),
    blind(request) {
      if (request.headers['x-forwarded-for'] === undefined) return false;
      if (!warned)
        warn(
          'X-Forwarded-For arrives but TRUST_PROXY is not set: all senders look like your proxy. Set TRUST_PROXY to its address.',
        );
      warned = true;
      return true;
    },
  };
}
