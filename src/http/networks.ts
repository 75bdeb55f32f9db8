// Whether a sender's address is among those that a webhook accepts.
import { BlockList, isIP, isIPv6 } from 'node:net';

const lists = new WeakMap<readonly string[], BlockList>();
/** Whether an address lies in one of these addresses and CIDR networks. */
export function inNetworks(networks: readonly string[], ip: string): boolean {
  let list = lists.get(networks);
  if (!list) {
    list = new BlockList();
    for (const network of networks) {
      const [address = '', bits] = network.split('/');
      const family = isIPv6(address) ? 'ipv6' : 'ipv4';
      if (bits === undefined) list.addAddress(address, family);
      else list.addSubnet(address, Number(bits), family);
    }
    lists.set(networks, list);
  }
  return isIP(ip) !== 0 && list.check(ip, isIPv6(ip) ? 'ipv6' : 'ipv4');
}
