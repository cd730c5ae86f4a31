import { expect, it } from 'vitest';
import { beside, besides } from './views';

it.each([
  ['failed', 'failed: apps/mail, apps/shop', 'apps/mail, apps/shop'],
  ['failed', 'failed: apps/mail; nothing was deployed', 'apps/mail; nothing was deployed'],
  ['failed', 'ended by an unexpected error', 'ended by an unexpected error'],
  ['drifted', 'apps/mail, apps/shop drifted', 'apps/mail, apps/shop'],
  ['drifted', 'apps/mail drifted (1 new, 1 known).', 'apps/mail (1 new, 1 known)'],
  ['drifted', 'apps/mail is undeployed', 'apps/mail is undeployed'],
  ['ok', 'planned; `doit env=prod deploy` applies exactly this', 'planned'],
  ['ok', 'planned; `doit deploy` applies exactly this, and plans and applies 3 deferred', 'planned, 3 deferred'],
  [
    'ok',
    'planned, 3 with mocks, for review only; `doit mocks=no plan` plans them for `doit deploy`',
    'planned, 3 with mocks, for review only'
  ],
  ['ok', 'planned; `doit deploy` applies exactly this, and plans 1 again once its image is there', 'planned'],
  ['destroys', 'planned; `doit deploy` applies exactly this', 'planned'],
  ['ok', '2 deployed', '2 deployed']
])('says beside the mark "%s" what the mark does not: %s', (state, verdict, expected) => {
  expect(beside(state, verdict)).toBe(expected);
});

it.each([
  ['ok', '+0 ~2 -2, as planned at 2026-11-27 00:49 UTC', 'as planned at 2026-11-27 00:49 UTC'],
  ['ok', '+0 ~0 ±1 -0; 1 check passed', '1 check passed'],
  ['ok', '+1 ~0 -0 2 outputs; planned after its upstream', 'planned after its upstream'],
  ['ok', '+4 ~0 -0', ''],
  ['ok', 'no changes', 'no changes'],
  ['drifted', 'drifted: a.b (changed outside, new)', 'a.b (changed outside, new)'],
  ['failed', 'drifted: no', 'drifted: no']
])('says of a task that is "%s" what its mark and its counts do not: %s', (status, summary, expected) => {
  expect(besides({ status, summary })).toBe(expected);
});
