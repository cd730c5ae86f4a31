import { BlockList, isIP } from 'node:net';

/** Who may come in: everybody, or those whom a proxy that is trusted names in a header. */
export interface Access {
  /** The user, `null` for nobody in particular; or why the request is refused. */
  check(address: string, headers: Headers): { user: string | null } | { refused: string };
}

/** Access as the environment says; throws with what is wrong. */
export function access(environment: Record<string, string | undefined>): Access {
  const header = environment.DASHBOARD_USER_HEADER?.trim();
  if (!header) {
    if (environment.DASHBOARD_USERS) throw new Error('DASHBOARD_USERS is set, but not DASHBOARD_USER_HEADER');
    return { check: () => ({ user: null }) };
  }
  const users = new Set(list(environment.DASHBOARD_USERS ?? ''));
  if (users.size === 0) throw new Error('DASHBOARD_USERS lists who may come in; `*` is everybody whom the proxy names');
  const trusted = blockList(list(environment.DASHBOARD_PROXIES || '127.0.0.1,::1'));
  return {
    check(address, headers) {
      const plain = address.replace(/^::ffff:/, '');
      if (!isIP(plain) || !trusted.check(plain, isIP(plain) === 6 ? 'ipv6' : 'ipv4')) {
        return { refused: 'this server answers its proxy only' };
      }
      const user = headers.get(header)?.trim();
      if (!user) return { refused: 'you are not signed in' };
      return users.has('*') || users.has(user) ? { user } : { refused: `${user} may not see this` };
    }
  };
}

function list(text: string): string[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter(Boolean);
}

function blockList(addresses: string[]): BlockList {
  const found = new BlockList();
  for (const address of addresses) {
    const [net = '', bits] = address.split('/');
    const family = isIP(net) === 6 ? 'ipv6' : 'ipv4';
    if (!isIP(net)) throw new Error(`DASHBOARD_PROXIES: ${address} is no address`);
    if (bits === undefined) found.addAddress(net, family);
    else found.addSubnet(net, Number(bits), family);
  }
  return found;
}
