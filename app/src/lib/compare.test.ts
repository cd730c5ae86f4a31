import { expect, it } from 'vitest';
import { environments } from './compare';
import type { Overview, StackEntry } from './records';

const deployed = (commit: string, at: string) => ({ status: 'deployed', text: '', at, commit, pipeline: null });
const stack = (name: string, commit: string | null, at = '2026-11-01T00:00:00Z') =>
  ({ name, deployed: commit ? deployed(commit, at) : null, checks: null }) as unknown as StackEntry;
const overview = (...stacks: StackEntry[]) => ({ stacks }) as unknown as Overview;

it('says of each stack how its deploys in two environments differ', () => {
  const pairs = environments(
    overview(
      stack('ahead', 'b', '2026-11-02T00:00:00Z'),
      stack('first', 'a'),
      stack('new', null),
      stack('nowhere', null)
    ),
    overview(stack('ahead', 'a'), stack('first', 'a'), stack('new', 'a'), stack('nowhere', null), stack('other', 'a'))
  );
  expect(Object.fromEntries(pairs.map((pair) => [pair.name, pair.kind]))).toEqual({
    ahead: 'behind',
    first: 'same',
    new: 'only',
    nowhere: 'neither',
    other: 'only'
  });
});
