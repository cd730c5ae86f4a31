import { expect, it } from 'vitest';
import { alike, processed, states } from './processed';
import type { Counts, Status, Task } from './records';

const task = (stage: string, status: Status, counts: Counts = {}): Task => ({
  name: `${stage}:web`,
  stage,
  stack: 'web',
  status,
  summary: '',
  offset: 0,
  seconds: 1,
  reasons: [],
  counts,
  needs: [],
  checks: [],
  findings: [],
  resolved: [],
  ways: [],
  kind: '',
  cause: ''
});

it('never shows a stack that loses a resource as just ok', () => {
  const planned = [task('plan', 'ok', { destroy: 1 })];
  const applied = [...planned, task('deploy', 'ok', { destroy: 1 })];
  const checked = [...applied, task('verify', 'ok')];
  expect(processed(planned)[0]?.status).toEqual({ state: 'destroys', number: 1 });
  for (const tasks of [applied, checked])
    expect(processed(tasks)[0]?.status).toEqual({ state: 'destroyed', number: 1 });
  expect([planned, applied, checked].map((tasks) => states(tasks).web)).toEqual(['destroys', 'destroyed', 'destroyed']);
});

it('shows what failed or was not run as that', () => {
  const planned = task('plan', 'ok', { destroy: 1 });
  for (const status of ['failed', 'not_run'] as const) {
    const tasks = [planned, task('deploy', status)];
    expect(processed(tasks)[0]?.status.state).toBe(status);
    expect(states(tasks).web).toBe(status);
  }
  expect(states([task('plan', 'ok', { change: 1 })]).web).toBe('ok');
});

it('has one row for many stacks that ended alike, and names each of them', () => {
  const stack = (name: string, status: Status, counts: Counts): Task => ({
    ...task('plan', status, counts),
    stack: name
  });
  const tasks = [
    ...['a', 'b', 'c', 'd', 'e'].map((name) => stack(name, 'failed', {})),
    ...['f', 'g', 'h'].map((name) => stack(name, 'ok', { add: 1 })),
    ...['i', 'j', 'k', 'l'].map((name) => stack(name, 'ok', { add: 2 })),
    stack('m', 'ok', { add: 2, destroy: 1 })
  ];
  const rows = alike(processed(tasks)).map(({ first, others }) => [first.name, ...others.map(({ name }) => name)]);
  expect(rows).toEqual([['a', 'b', 'c', 'd', 'e'], ['m'], ['f'], ['g'], ['h'], ['i', 'j', 'k', 'l']]);
  expect(alike([])).toEqual([]);
});
