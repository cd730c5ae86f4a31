import { expect, it } from 'vitest';
import { breakable } from './format';

it('breaks paths and addresses after their slashes only', () => {
  expect(breakable('stacks/platform/cluster/main.tf:7')).toEqual(['stacks/', 'platform/', 'cluster/', 'main.tf:7']);
  expect(breakable('http https://shop.example.com/healthz: status 502')).toEqual([
    'http https://',
    'shop.example.com/',
    'healthz: status 502'
  ]);
  expect(breakable('web')).toEqual(['web']);
  expect(breakable('a/').join('')).toBe('a/');
});
