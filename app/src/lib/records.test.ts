import { describe, expect, it } from 'vitest';
import { driftSets } from './driftset';
import { ago, duration } from './format';
import { layers } from './graph';
import { page } from './paging';
import { stackPath } from './paths';
import { parseDetails, parseLine, parseOverview, parseRun, type Line } from './records';
import { marks, runStatus, urgency } from './state';

const record = (more: Record<string, unknown> = {}) => ({
  format: 1,
  id: '20261124T175155Z-64d6ff',
  environment: 'prod',
  command: 'doit deploy',
  stages: ['deploy'],
  started_at: '2026-11-24T17:51:55.000+00:00',
  ended_at: '2026-11-24T17:52:00.000+00:00',
  written_at: '2026-11-24T17:52:00+00:00',
  exit_code: 0,
  seconds: 5,
  stacks: 3,
  unaffected: 2,
  process: { host: 'h', pid: 1 },
  ...more
});
const line = (more: Record<string, unknown> = {}) => parseLine(record(more)) as Line;

describe('untrusted records', () => {
  it.each([null, 1, 'x', [], {}, { id: '../../etc/passwd', environment: 'prod' }, record({ environment: '../x' })])(
    'are dropped when they are not records: %j',
    (value) => expect(parseLine(value)).toBeNull()
  );

  it('link to http(s) addresses only', () => {
    const found = line({ pipeline: { forge: 'gitlab', id: '1', url: 'javascript:alert(1)', job: 'https://x.test/1' } });
    expect(found.pipeline).toMatchObject({ url: null, job: 'https://x.test/1' });
  });

  it('are read even if parts have another shape', () => {
    const found = parseRun(
      record({ tasks: [null, 3, { stage: 'plan', stack: 'a', needs: 'x', counts: { add: '1' } }], graph: [] })
    );
    expect(found?.tasks.at(-1)).toMatchObject({ name: 'plan:a', needs: [], counts: {}, status: 'not_run' });
    expect(parseOverview({ stacks: { a: null, b: { drift: { status: 3 } } } })?.stacks).toHaveLength(2);
    expect(parseDetails('{"task":"plan:a","status":"ok","det')).toBeNull();
  });

  it('distinguish a running run from a killed one', () => {
    const going = line({ ended_at: null, exit_code: null, written_at: '2026-11-24T17:52:00+00:00' });
    expect(runStatus(going, Date.parse('2026-11-24T17:52:20Z'))).toBe('running');
    expect(runStatus(going, Date.parse('2026-11-24T17:54:00Z'))).toBe('killed');
    expect(runStatus(line({ exit_code: 2 }))).toBe('drifted');
  });
});

describe('what is shown', () => {
  it('has the most urgent state of a stack first', () => {
    const facts = {
      apply: { status: 'applied' },
      drift: { status: 'drifted' },
      checks: { status: 'failing' },
      affected: { status: 'affected' }
    };
    const [stack] = parseOverview({ stacks: { a: facts } })?.stacks ?? [];
    expect(stack && marks(stack)).toEqual(['failing', 'drifted', 'affected']);
    expect(stack && urgency(stack)).toBeLessThan(3);
  });

  it('keeps the page number within the list', () => {
    const all = Array.from({ length: 120 }, (_, index) => index);
    for (const wanted of ['0', '-3', 'x', '1e9', '', null])
      expect(page(all, wanted, 50).items.length).toBeGreaterThan(0);
    expect(page(all, '3', 50)).toMatchObject({ number: 3, pages: 3, total: 120 });
  });

  it('puts a stack to the right of everything it needs, and survives a cycle', () => {
    const found = layers({ a: [], b: ['a'], c: ['a', 'b'], x: ['y'], y: ['x'] });
    const column = Object.fromEntries(found.nodes.map((node) => [node.name, node.column]));
    expect(column).toMatchObject({ a: 0, b: 1, c: 2 });
    expect(found.nodes).toHaveLength(5);
  });

  it('formats times, and paths of stacks in folders', () => {
    expect([0.42, 59, 200, 3900].map(duration)).toEqual(['0.4 s', '59 s', '3 min 20 s', '1 h 5 min']);
    expect(ago('2026-11-24T17:00:00Z', Date.parse('2026-11-26T18:00:00Z'))).toBe('2 d ago');
    expect(stackPath('prod', 'edge/c d')).toBe('/env/prod/stacks/edge/c%20d');
  });
});

describe('drift', () => {
  const run = (...tasks: [string, string, string[]][]) =>
    parseRun(record({ tasks: tasks.map(([stack, status, drifted]) => ({ stage: 'drift', stack, status, drifted })) }));

  it('is new, known or resolved: the latest check of each stack against the one before', () => {
    const runs = [
      run(['a', 'drifted', ['a.1', 'a.2']]),
      run(['b', 'ok', []], ['a', 'failed', []]),
      run(['a', 'drifted', ['a.1', 'a.0']], ['b', 'drifted', ['b.1']])
    ].filter((item) => item !== null);
    const found = driftSets(runs);
    expect(found.fresh).toEqual([{ stack: 'a', address: 'a.2' }]);
    expect(found.known).toEqual([{ stack: 'a', address: 'a.1' }]);
    expect(found.resolved).toEqual([
      { stack: 'a', address: 'a.0' },
      { stack: 'b', address: 'b.1' }
    ]);
  });
});
