import { describe, expect, it } from 'vitest';
import { access } from './access';

const proxied = { DASHBOARD_USER_HEADER: 'X-User', DASHBOARD_USERS: 'ada, bob', DASHBOARD_PROXIES: '10.0.0.0/8,::1' };
const named = (user: string) => new Headers({ 'x-user': user });

describe('access', () => {
  it('is open where nothing is configured', () => {
    expect(access({}).check('203.0.113.1', new Headers())).toEqual({ user: null });
  });

  it('takes the user from a proxy that is trusted', () => {
    expect(access(proxied).check('10.1.2.3', named('ada'))).toEqual({ user: 'ada' });
    expect(access(proxied).check('::ffff:10.1.2.3', named('bob'))).toEqual({ user: 'bob' });
  });

  it.each([
    ['203.0.113.1', 'ada', 'proxy only'],
    ['10.1.2.3', '', 'not signed in'],
    ['10.1.2.3', 'eve', 'may not see this'],
    ['garbage', 'ada', 'proxy only']
  ])('refuses %s %s', (address, user, why) => {
    expect(access(proxied).check(address, named(user))).toEqual({ refused: expect.stringContaining(why) });
  });

  it('does not start with half a configuration', () => {
    expect(() => access({ DASHBOARD_USER_HEADER: 'X-User' })).toThrow('DASHBOARD_USERS');
    expect(() => access({ DASHBOARD_USERS: 'ada' })).toThrow('DASHBOARD_USER_HEADER');
    expect(() => access({ ...proxied, DASHBOARD_PROXIES: 'proxy.example' })).toThrow('proxy.example');
  });
});
