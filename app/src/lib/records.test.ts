import { describe, expect, it } from 'vitest';
import { driftGroups, driftWays, groupWays, headline } from './drift';
import { ago, duration } from './format';
import { layers } from './graph';
import { page } from './paging';
import { stackPath } from './paths';
import { parseDetails, parseLine, parseOverview, parseRun, type Line } from './records';
import { marks, runStatus, shownRun, shownTask, urgency } from './state';

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
    expect(runStatus(line({ exit_code: 2, statuses: { undeployed: 1, ok: 3 } }))).toBe('undeployed');
    expect(runStatus(line({ exit_code: 2, statuses: { undeployed: 1, drifted: 1 } }))).toBe('drifted');
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

  it('is never just ok when something is destroyed', () => {
    expect(shownRun(line({ counts: { plan: { add: 2, destroy: 1, replace: 1 } } }))).toEqual({
      state: 'destroys',
      number: 2
    });
    expect(shownRun(line({ counts: { plan: { destroy: 1 }, deploy: { destroy: 1 } } })).state).toBe('destroyed');
    expect(shownRun(line({ counts: { plan: { add: 2 } } })).state).toBe('ok');
    expect(shownRun(line({ exit_code: 1, counts: { plan: { destroy: 1 } } })).state).toBe('failed');
    expect(shownTask({ status: 'ok', stage: 'plan', counts: { destroy: 1 } }).state).toBe('destroys');
    expect(shownTask({ status: 'ok', stage: 'drift', counts: { destroy: 1 } }).state).toBe('ok');
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
  const finding = (address: string, more: Record<string, unknown> = {}) => ({
    class: 'changed',
    address,
    severity: 'warning',
    delta: 'known',
    since: '',
    ignored: null,
    ...more
  });
  const run = (...tasks: [string, string, object[], string[]?][]) =>
    parseRun(
      record({
        tasks: tasks.map(([stack, status, findings, resolved = []]) => ({
          stage: 'drift',
          stack,
          status,
          findings,
          resolved
        }))
      })
    );

  it('is what the latest check of each stack says, apart from failed checks', () => {
    const runs = [
      run(['a', 'failed', []], ['c', 'undeployed', [finding('c.1', { class: 'undeployed' })]]),
      run(['a', 'drifted', [finding('a.1'), finding('a.2', { delta: 'new' }), finding('a.3', { ignored: 'scaled' })]]),
      run(['b', 'ok', [], ['b.1']], ['a', 'drifted', [finding('a.9')]])
    ].filter((item) => item !== null);
    const found = driftGroups(runs);
    expect(found.fresh.map((item) => item.address)).toEqual(['a.2']);
    expect(found.known.map((item) => item.address)).toEqual(['a.1']);
    expect(found.ignored).toMatchObject([{ stack: 'a', address: 'a.3', ignored: 'scaled' }]);
    expect(found.undeployed.map((item) => item.address)).toEqual(['c.1']);
    expect(found.resolved).toEqual([{ stack: 'b', address: 'b.1' }]);
  });

  it('says at the head of its page what holds now', () => {
    const drifted = { state: 'drifted', number: 0 };
    expect(headline(drifted, 2, 1).state).toBe('drifted');
    expect(headline({ state: 'ok', number: 0 }, 2, 0).state).toBe('drifted');
    expect(headline(drifted, 0, 1).state).toBe('undeployed');
    expect(headline(drifted, 0, 0)).toMatchObject({ state: 'ok', text: 'no drift' });
    expect(headline({ state: 'failed', number: 0 }, 0, 0).state).toBe('failed');
  });

  it('has ways out, those of the latest check of each stack', () => {
    const way = (command: string) => ({ what: 'look into it', command });
    const checked = (stack: string, status: string, ways: object[]) =>
      parseRun(record({ tasks: [{ stage: 'drift', stack, status, ways }] }));
    const runs = [
      checked('b', 'drifted', [way('doit drift:b')]),
      checked('a', 'failed', []),
      checked('c', 'ok', []),
      checked('a', 'drifted', [way('doit drift:a')]),
      checked('c', 'drifted', [way('doit drift:c')])
    ].filter((item) => item !== null);
    expect(driftWays(runs)).toEqual([
      { stack: 'a', ways: [way('doit drift:a')] },
      { stack: 'b', ways: [way('doit drift:b')] }
    ]);
  });

  it('has ways out for all stacks at once, as long as all of them are drifted', () => {
    const ways = [{ name: 'undo it', commands: ["doit deploy --repair 'a,b'"], left: 0 }];
    const tasks = ['a', 'b'].map((stack) => ({ stage: 'drift', stack, status: 'drifted' }));
    const runs = [parseRun(record({ tasks, ways }))].filter((item) => item !== null);
    expect(groupWays(runs, () => true)).toEqual([
      { what: 'undo it', commands: ["doit deploy --repair 'a,b'"], left: 0 }
    ]);
    expect(groupWays(runs, (stack) => stack === 'a')).toEqual([]);
    expect(groupWays([], () => true)).toEqual([]);
  });

  it('counts as new when it cannot be compared', () => {
    const found = driftGroups(
      [run(['a', 'drifted', [finding('a.1', { delta: 'unknown' }), {}]])].filter((r) => r !== null)
    );
    expect(found.fresh).toHaveLength(2);
  });
});
