import { expect, it } from 'vitest';
import { breakable, duration } from './format';

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

it.each([
  [0.04, '0.0 s'],
  [9.94, '9.9 s'],
  [9.97, '10 s'],
  [59.4, '59 s'],
  [59.6, '1 min'],
  [119.7, '2 min'],
  [200.2, '3 min 20 s'],
  [600, '10 min'],
  [3599.8, '1 h'],
  [3900, '1 h 5 min']
])('never says 60 seconds: %s is %s', (seconds, text) => {
  expect(duration(seconds)).toBe(text);
});
