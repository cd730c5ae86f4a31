import { render } from 'svelte/server';
import { describe, expect, it } from 'vitest';
import FailureReport from './components/FailureReport.svelte';
import { latestFailure } from './failures';
import { parseProblem, parts } from './problem';
import { parseDetails, parseRun, type Failure, type RunRecord } from './records';

const problem = {
  kind: 'state locked',
  summary: 'ada holds the lock of web',
  where: { file: 'config/pipeline.yaml', line: 7, column: 3, key: 'stacks.web.inputs' },
  stack: 'web',
  untouched: 'nothing was applied',
  next: { command: ['doit', 'env=prod', 'deploy:edge/cdn'], text: 'deploy again' },
  details: 'held since 10:00\nby pipeline 4711',
  log: 'Error: state lock'
};

describe('a structured problem', () => {
  it('is read with its place and its command on one line', () => {
    expect(parseProblem(problem)).toEqual({
      kind: 'state locked',
      summary: 'ada holds the lock of web',
      where: 'config/pipeline.yaml:7:3 stacks.web.inputs',
      stack: 'web',
      untouched: 'nothing was applied',
      next: { command: 'doit env=prod deploy:edge/cdn', text: 'deploy again' },
      details: 'held since 10:00\nby pipeline 4711',
      log: 'Error: state lock'
    });
  });

  it.each([
    [{ file: 'a.yaml' }, 'a.yaml'],
    [{ file: 'a.yaml', line: 3 }, 'a.yaml:3'],
    [{ file: 'a.yaml', column: 3 }, 'a.yaml'],
    [{ file: 'a.yaml', line: '3' }, 'a.yaml'],
    [{ file: 'a.yaml', line: -1 }, 'a.yaml'],
    [{ file: 'a.yaml', line: 1.5 }, 'a.yaml'],
    [{ line: 3, key: 'stacks.web' }, 'stacks.web'],
    [{ file: null, key: ['x'] }, ''],
    ['a.yaml:3', ''],
    [null, '']
  ])('shows the place %j as %j', (where, shown) => {
    expect(parseProblem({ ...problem, where })?.where).toBe(shown);
  });

  it.each([undefined, null, 'text', 7, [], [problem], {}, { kind: 1, summary: {} }, { log: 'x' }])(
    'is null when it says nothing: %j',
    (value) => expect(parseProblem(value)).toBeNull()
  );

  it('drops parts of the wrong type', () => {
    const rest = { stack: 1, untouched: [], next: 'doit', details: {}, log: null };
    expect(parseProblem({ kind: 'x', summary: 3, ...rest })).toEqual({
      kind: 'x',
      summary: '',
      where: '',
      stack: '',
      untouched: '',
      next: null,
      details: '',
      log: ''
    });
  });

  it('drops a command as a whole when one of its words is not a text: what is left would be another command', () => {
    const next = (command: unknown, text: unknown = 'look') =>
      parseProblem({ ...problem, next: { command, text } })?.next;
    expect(next(['doit', 3, 'deploy'])).toEqual({ command: '', text: 'look' });
    expect(next('doit deploy')).toEqual({ command: '', text: 'look' });
    expect(next([], 4)).toBeNull();
  });

  it('quotes a command for the shell, and makes characters visible that would hide what is copied', () => {
    const command = (...words: string[]) => parseProblem({ ...problem, next: { command: words } })?.next?.command;
    expect(command('doit', 'a b', '', "it's", '$(x)')).toBe(`doit 'a b' '' 'it'\\''s' '$(x)'`);
    expect(command('tofu', 'x["a"]', '-lock=false')).toBe(`tofu 'x["a"]' -lock=false`);
    expect(command('a\u202eb', "c\n'd\\")).toBe(`$'a\\u202eb' $'c\\u000a\\'d\\\\'`);
    expect(command('=a', 'b\u00a0c')).toBe(`'=a' $'b\\u00a0c'`);
    expect(command('a\u{e0041}')).toBe(`$'a\\U000e0041'`);
  });

  it('is part of a task record, and absent from older ones', () => {
    const line = { task: 'deploy:web', status: 'failed', error: 'old text', log: 'old log' };
    expect(parseDetails(JSON.stringify({ ...line, problem }))?.problem?.kind).toBe('state locked');
    expect(parseDetails(JSON.stringify(line))).toMatchObject({ problem: null, error: 'old text', log: 'old log' });
  });
});

describe('the report of a failure', () => {
  const report = (failure: Partial<Failure>) =>
    render(FailureReport, { props: { task: 'deploy:web', failure: { error: '', log: '', problem: null, ...failure } } })
      .body.replace(/<!--.*?-->/g, '')
      .replace(/\s+/g, ' ');

  it('has the kind and the summary as its headline, then place, what is untouched and the next command', () => {
    const html = report({ problem: parseProblem(problem), error: 'old text', log: 'old log' }).replaceAll('<wbr/>', '');
    expect(html).toMatch(/<strong[^>]*>state locked<\/strong>: ada holds the lock of web/);
    for (const shown of ['config/pipeline.yaml:7:3 stacks.web.inputs', 'nothing was applied', 'deploy again'])
      expect(html).toContain(shown);
    expect(html).toMatch(/<code[^>]*>doit env=prod deploy:edge\/cdn<\/code>/);
    expect(html).toContain('by pipeline 4711');
    expect(html).not.toMatch(/old (text|log)/);
  });

  it("names the stack only where it is another than the task's", () => {
    expect(report({ problem: parseProblem(problem) })).not.toContain('Stack');
    expect(report({ problem: parseProblem({ ...problem, stack: 'api' }) })).toMatch(/Stack<\/dt> <dd>api/);
  });

  it('folds the log, and takes that of the task where the problem has none', () => {
    expect(report({ problem: parseProblem(problem) })).toMatch(/<details(?! open)[^>]*>.*Log.*Error: state lock/);
    expect(report({ problem: parseProblem({ ...problem, log: '' }), log: 'old log' })).toMatch(/<details.*old log/);
    expect(report({ problem: parseProblem({ ...problem, log: '' }) })).not.toContain('<details');
  });

  it('falls back to the text of records without a problem', () => {
    const html = report({ error: 'old text', log: 'old log' });
    expect(html).toMatch(/old log.*old text/);
    expect(html).not.toContain('<details');
  });

  it('escapes everything', () => {
    const nasty = '<script>alert(1)</script>';
    const html = report({
      problem: parseProblem({
        kind: nasty,
        summary: nasty,
        where: { file: nasty, line: 1, key: nasty },
        stack: nasty,
        untouched: nasty,
        next: { command: [nasty], text: nasty },
        details: nasty,
        log: nasty
      })
    });
    expect(html.match(/&lt;script>alert\(1\)/g)?.length).toBeGreaterThanOrEqual(9);
    expect(html + report({ error: nasty, log: nasty })).not.toContain('<script');
  });
});

describe('the latest failure of a stack', () => {
  const run = (number: number, tasks: [string, string, string?][], more = {}) =>
    parseRun({
      id: `2026112${number}T175155Z-64d6ff`,
      environment: 'prod',
      tasks: tasks.map(([stage, status, kind], offset) => ({ stage, stack: 'web', status, kind, offset })),
      ...more
    }) as RunRecord;
  const found = (...runs: RunRecord[]) => {
    const failure = latestFailure(runs, 'web');
    return failure && [failure.run.id.slice(7, 8), failure.task.name];
  };
  const failed = run(1, [
    ['plan', 'ok'],
    ['deploy', 'failed']
  ]);

  it('is the one that no later success of the same stage outdates', () => {
    expect(found(failed)).toEqual(['1', 'deploy:web']);
    expect(found(run(2, [['plan', 'ok']]), failed)).toEqual(['1', 'deploy:web']);
    expect(found(run(2, [['deploy', 'ok']]), failed)).toBeNull();
    expect(found(run(2, [['plan', 'failed']]), failed)).toEqual(['2', 'plan:web']);
    expect(found(run(3, [['drift', 'drifted']]), run(2, [['drift', 'failed']]))).toBeNull();
  });

  it('is outdated by a deploy, whatever failed, and a failed check by one that passes', () => {
    expect(found(run(2, [['deploy', 'ok']]), run(1, [['verify', 'failed']]))).toBeNull();
    const check = run(1, [['deploy', 'failed', 'check failed']]);
    expect(found(run(2, [['verify', 'ok']]), check)).toBeNull();
    expect(found(run(2, [['verify', 'ok']]), failed)).toEqual(['1', 'deploy:web']);
  });

  it('is not outdated by what did not run or still runs, nor taken from other stacks, builds or merge requests', () => {
    expect(
      found(
        run(4, [['deploy', 'running']]),
        run(3, [['deploy', 'not_run']]),
        run(2, [['plan', 'failed']], { pipeline: { review: '12' } }),
        run(2, [['build', 'failed']]),
        failed
      )
    ).toEqual(['1', 'deploy:web']);
    expect(latestFailure([failed], 'other')).toBeNull();
    const review = run(2, [['plan', 'failed']], { pipeline: { review: '12' } });
    expect(latestFailure([review], 'web', true)?.task.name).toBe('plan:web');
  });
});

describe('the parts of a next step', () => {
  const words = (text: string, command: string) =>
    parts({ text, command }).map((part) => (part.command ? `[${part.text}]` : part.text));

  it('shows the command where the sentence has it, once', () => {
    expect(words('fix the cause, then `doit deploy` again', 'doit deploy')).toEqual([
      'fix the cause, then ',
      '[doit deploy]',
      ' again'
    ]);
  });

  it('adds a command that the sentence does not have, and is the command alone without a sentence', () => {
    expect(words('fix the cause, then', 'doit deploy')).toEqual(['fix the cause, then ', '[doit deploy]']);
    expect(words('', 'doit deploy')).toEqual(['[doit deploy]']);
  });

  it('can copy every command of a sentence', () => {
    expect(words('`a b`; or `c`', '')).toEqual(['[a b]', '; or ', '[c]']);
  });
});
