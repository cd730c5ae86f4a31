import { describe, expect, it } from 'vitest';
import { access } from './access';

const proxied = { DASHBOARD_USER_HEADER: 'X-User', DASHBOARD_USERS: 'ada, bob', DASHBOARD_PROXIES: '10.0.0.0/8,::1' };
const named = (user: string) => new Headers({ 'x-user': user });

describe('access', () => {
  it('is open where nothing is configured', () => {
    expect(access({}).check('203.0.113.1', new Headers())).toEqual({ user: null });
  });

  it('takes the user from a trusted proxy', () => {
    expect(access(proxied).check('10.1.2.3', named('ada'))).toEqual({ user: 'ada' });
    expect(access(proxied).check('::ffff:10.1.2.3', named('bob'))).toEqual({ user: 'bob' });
  });

  it.each([
    ['203.0.113.1', 'ada', 'from its proxy'],
    ['10.1.2.3', '', 'not signed in'],
    ['10.1.2.3', 'eve', 'does not have access'],
    ['garbage', 'ada', 'from its proxy']
  ])('refuses %s %s', (address, user, why) => {
    expect(access(proxied).check(address, named(user))).toEqual({ refused: expect.stringContaining(why) });
  });

  it('rejects an incomplete configuration', () => {
    expect(() => access({ DASHBOARD_USER_HEADER: 'X-User' })).toThrow('DASHBOARD_USERS');
    expect(() => access({ DASHBOARD_USERS: 'ada' })).toThrow('DASHBOARD_USER_HEADER');
  });

  it.each(['proxy.example', '10.0.0.0/x', '10.0.0.0/33', '10.0.0.0/', '::1/129'])(
    'rejects the proxy %s by name',
    (proxy) => {
      expect(() => access({ ...proxied, DASHBOARD_PROXIES: proxy })).toThrow(`DASHBOARD_PROXIES: ${proxy} is not`);
    }
  );
});
