import { BlockList, isIP } from 'node:net';

/** Who has access: everyone, or the users that a trusted proxy names in a header. */
export interface Access {
  /** The user, null when users are not identified; or why the request is refused. */
  check(address: string, headers: Headers): { user: string | null } | { refused: string };
}

/** Access as the environment variables configure it; throws when they are incomplete or invalid. */
export function access(environment: Record<string, string | undefined>): Access {
  const header = environment.DASHBOARD_USER_HEADER?.trim();
  if (!header) {
    if (environment.DASHBOARD_USERS) throw new Error('DASHBOARD_USERS is set, but not DASHBOARD_USER_HEADER');
    return { check: () => ({ user: null }) };
  }
  const users = new Set(list(environment.DASHBOARD_USERS ?? ''));
  if (users.size === 0)
    throw new Error('DASHBOARD_USER_HEADER is set, but not DASHBOARD_USERS: list who has access; `*` means every user');
  const trusted = blockList(list(environment.DASHBOARD_PROXIES || '127.0.0.1,::1'));
  return {
    check(address, headers) {
      const plain = address.replace(/^::ffff:/, '');
      if (!isIP(plain) || !trusted.check(plain, isIP(plain) === 6 ? 'ipv6' : 'ipv4')) {
        return { refused: 'this server only accepts requests from its proxy' };
      }
      const user = headers.get(header)?.trim();
      if (!user) return { refused: 'you are not signed in' };
      return users.has('*') || users.has(user) ? { user } : { refused: `${user} does not have access` };
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
    const [net = '', bits, ...rest] = address.split('/');
    const family = isIP(net) === 6 ? 'ipv6' : 'ipv4';
    const prefix = /^\d{1,3}$/.test(bits ?? '') ? Number(bits) : Infinity;
    if (!isIP(net) || rest.length || (bits !== undefined && prefix > (family === 'ipv6' ? 128 : 32)))
      throw new Error(`DASHBOARD_PROXIES: ${address} is not an IP address or network`);
    if (bits === undefined) found.addAddress(net, family);
    else found.addSubnet(net, prefix, family);
  }
  return found;
}
