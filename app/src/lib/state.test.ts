import { describe, expect, it } from 'vitest';
import cases from '../../../tests/conditions.json';
import { parseOverview } from './records';
import { BY_URGENCY, marks, MARKS } from './state';

const AT = '2026-11-26T08:00:00Z';

describe('the marks of a stack', () => {
  // The other faces show the same states, see tests/unit/test_conditions.py.
  it.each(Object.entries(cases))('%s', (name, { facts, marks: expected }) => {
    const entry = Object.fromEntries(
      Object.entries(facts).map(([key, status]) => [key, { status, at: AT, since: AT, text: status }])
    );
    const deployed = name === 'never deployed' ? {} : { deployed: { status: 'deployed', at: AT, since: AT, text: '' } };
    const [stack] = parseOverview({ stacks: { a: { ...entry, ...deployed } } })?.stacks ?? [];
    const found = stack ? marks(stack) : [];
    expect(found).toEqual(expected);
    expect(found.filter((mark) => !BY_URGENCY.includes(mark) || !(mark in MARKS))).toEqual([]);
  });
});
