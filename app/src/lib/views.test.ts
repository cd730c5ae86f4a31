import { expect, it } from 'vitest';
import { beside } from './views';

it.each([
  ['failed', 'failed: apps/mail, apps/shop', 'apps/mail, apps/shop'],
  ['failed', 'failed: apps/mail; nothing was deployed', 'apps/mail; nothing was deployed'],
  ['failed', 'ended by an unexpected error', 'ended by an unexpected error'],
  ['drifted', 'apps/mail, apps/shop drifted', 'apps/mail, apps/shop'],
  ['drifted', 'apps/mail drifted (1 new, 1 known).', 'apps/mail (1 new, 1 known)'],
  ['drifted', 'apps/mail is undeployed', 'apps/mail is undeployed'],
  ['ok', 'planned; `doit env=prod deploy` applies exactly this', 'planned'],
  ['ok', 'planned; `doit deploy` applies exactly this, and plans and applies 3 deferred', 'planned, 3 deferred'],
  ['destroys', 'planned; `doit deploy` applies exactly this', 'planned'],
  ['ok', '2 deployed', '2 deployed']
])('says beside the mark "%s" what the mark does not: %s', (state, verdict, expected) => {
  expect(beside(state, verdict)).toBe(expected);
});
