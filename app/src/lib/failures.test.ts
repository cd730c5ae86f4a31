import { describe, expect, it } from 'vitest';
import { causes } from './failures';
import type { Failure, Task } from './records';

const task = (stack: string, summary: string): Task => ({
  name: `plan:${stack}`,
  stage: 'plan',
  stack,
  status: 'failed',
  summary,
  reasons: [],
  counts: {},
  offset: 0,
  seconds: 1,
  needs: [],
  kind: 'plan failed',
  cause: '',
  findings: [],
  resolved: [],
  ways: [],
  checks: []
});
const failure = (stack: string, summary: string, log: string): Failure => ({
  error: '',
  log: '',
  problem: {
    kind: 'plan failed',
    summary,
    where: `stacks/${stack}/main.tf:1`,
    stack,
    untouched: '',
    next: null,
    details: '',
    log
  }
});

describe('the causes of a run', () => {
  it('are said once with all their stacks', () => {
    const tasks = ['web', 'db', 'dns'].map((stack) => task(stack, stack === 'dns' ? 'no quota' : 'no credentials'));
    const failures = Object.fromEntries(
      tasks.map((item) => [item.name, failure(item.stack, item.summary, item.stack)])
    );
    expect(causes(tasks, failures).map((cause) => cause.tasks.map((item) => item.stack))).toEqual([
      ['web', 'db'],
      ['dns']
    ]);
  });

  it('have the next step of all that failed for it', () => {
    const tasks = ['web', 'db'].map((stack) => ({ ...task(stack, 'no credentials'), cause: 'plan:web' }));
    const failures = { 'plan:web': failure('web', 'no credentials', '') };
    const shared = {
      untouched: 'nothing in these stacks was changed',
      next: { command: "doit 'plan:db' 'plan:web'", text: '' }
    };
    const [found] = causes(tasks, failures, { 'plan:web': shared });
    expect(found?.failure?.problem).toMatchObject({ summary: 'no credentials', ...shared });
    const [alone] = causes(tasks.slice(0, 1), failures, { 'plan:web': shared });
    expect(alone?.failure?.problem?.next).toBeNull();
  });

  it('are the same although each text names its stack', () => {
    const tasks = ['web', 'db'].map((stack) => task(stack, `a plan of ${stack} was refused`));
    const failures = Object.fromEntries(
      tasks.map((item) => {
        const known = failure(item.stack, item.summary, '');
        const next = { command: `doit plan:${item.stack}`, text: '' };
        return [item.name, { ...known, problem: known.problem && { ...known.problem, next } }];
      })
    );
    expect(causes(tasks, failures)).toHaveLength(1);
  });

  it('that differ in the stage or in what to do next are two', () => {
    const deploy = { ...task('web', 'no credentials'), name: 'deploy:web', stage: 'deploy' };
    const known = failure('web', 'no credentials', '');
    const next = { command: 'doit deploy', text: '' };
    const failures = {
      'deploy:web': known,
      'plan:db': known,
      'plan:web': { ...known, problem: known.problem && { ...known.problem, next } }
    };
    expect(causes([deploy, task('db', 'no credentials'), task('web', 'no credentials')], failures)).toHaveLength(3);
  });

  it('are those that the record of the run names, whatever else they say', () => {
    const tasks = ['plan', 'web', 'dns'].map((stack) => task(stack, `${stack} has no key; run the plan again`));
    const named = tasks.map((item) => ({ ...item, cause: item.stack === 'dns' ? 'plan:dns' : 'plan:plan' }));
    expect(causes(named, {}).map((cause) => cause.tasks.map((item) => item.stack))).toEqual([['plan', 'web'], ['dns']]);
  });

  it('without a record are their summaries', () => {
    expect(causes([task('web', 'x'), task('db', 'x')], {})).toHaveLength(1);
  });
});
