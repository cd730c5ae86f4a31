import { describe, expect, it } from 'vitest';
import { environments, runs } from './compare';
import { feed, type Known } from './feed';
import { commitLink, reviewLink } from './links';
import { matrix, ordered } from './matrix';
import { parseLine, parseOverview, parseRun, type Line, type Pipeline } from './records';
import { trends } from './trends';

const NOW = Date.parse('2026-11-26T08:00:00Z');
const DAY = 24 * 3600 * 1000;
const at = (hours: number): string => new Date(NOW - hours * 3600 * 1000).toISOString();
const SHA = 'a'.repeat(40);

let next = 0;
function run(hours: number, more: Record<string, unknown> = {}): Line {
  const begin = at(hours);
  next += 1;
  const id = `${begin.slice(0, 19).replace(/[-:]/g, '')}Z-${next.toString(16).padStart(6, '0')}`;
  return parseLine({
    id,
    environment: 'prod',
    command: 'doit deploy',
    stages: ['plan', 'deploy'],
    started_at: begin,
    ended_at: begin,
    written_at: begin,
    exit_code: 0,
    seconds: 10,
    touched: ['web'],
    ...more
  }) as Line;
}
const review = (number: string) => ({
  forge: 'gitlab',
  id: '7',
  url: 'https://x.test/a/-/pipelines/7',
  review: number
});
const overview = (stacks: Record<string, object>, more: object = {}) => parseOverview({ stacks, ...more });
const fact = (status: string, hours: number, more: object = {}) => ({
  status,
  at: at(hours),
  since: at(hours),
  text: status,
  ...more
});
const known = (lines: Line[], found: Known['overview'] = null, name = 'prod'): Known => ({
  name,
  lines: lines.sort((one, other) => (one.id < other.id ? 1 : -1)),
  overview: found
});
const titles = (sections: ReturnType<typeof feed>) =>
  Object.fromEntries(sections.map((section) => [section.title, section.items.map((item) => item.title)]));

describe('the feed', () => {
  it('lists what happened since, worst first, and nothing older', () => {
    const stacks = {
      web: { checks: fact('failing', 2), drift: fact('drifted', 3) },
      old: { drift: fact('drifted', 30), affected: fact('affected', 5) },
      db: { locked: fact('locked', 1) }
    };
    const found = feed([known([run(2), run(30, { exit_code: 1 })], overview(stacks))], NOW - DAY, NOW);
    expect(titles(found)).toEqual({
      Unhealthy: ['web'],
      Locked: ['db'],
      'Newly drifted': ['web'],
      Undeployed: ['old'],
      Deployed: ['web']
    });
  });

  it('says of a failure whether a later run recovered, and leaves out merge requests and runs that are still running', () => {
    const lines = [
      run(5, { exit_code: 1, command: 'doit deploy' }),
      run(4),
      run(3, { exit_code: 1, stages: ['verify'], command: 'doit verify' }),
      run(2, { exit_code: 1, pipeline: review('3') }),
      run(0, { exit_code: null, ended_at: null, written_at: at(0) })
    ];
    const [failed] = feed([known(lines)], NOW - DAY, NOW);
    expect(failed?.items.map((item) => [item.title, item.over])).toEqual([
      ['doit verify', false],
      ['doit deploy', true]
    ]);
  });

  it('does not call a failure recovered by a run of other stacks', () => {
    const [failed] = feed([known([run(5, { exit_code: 1 }), run(4, { touched: ['db'] })])], NOW - DAY, NOW);
    expect(failed?.items[0]?.over).toBe(false);
  });

  it('names reviewed plans that a deploy has overtaken, unless it deployed their commit', () => {
    const lines = [
      run(50, { stages: ['plan'], pipeline: review('12'), commit: SHA }),
      run(49, { stages: ['plan'], pipeline: review('13'), commit: 'b'.repeat(40) }),
      run(48, { stages: ['plan'], pipeline: review('14'), touched: ['other'] }),
      run(24 * 20, { stages: ['plan'], pipeline: review('15') }),
      run(47, { commit: SHA })
    ];
    expect(titles(feed([known(lines)], NOW - 2 * DAY, NOW))).toMatchObject({ 'Stale reviews': ['!13'] });
    expect(titles(feed([known(lines)], NOW - DAY, NOW))).toEqual({});
  });

  it('names a rule that several environments share once', () => {
    const rules = [{ kind: 'policy.allow', name: 'open-ingress', until: '2026-12-01' }];
    const [section] = feed(
      ['dev', 'prod'].map((name) => known([], overview({}, { rules }), name)),
      NOW - DAY,
      NOW
    );
    expect(section?.items.map((item) => [item.title, item.environment])).toEqual([['open-ingress', 'dev, prod']]);
  });

  it('names rules that end soon', () => {
    const rules = ['2026-11-20', '2026-12-01', '2027-05-01'].map((until) => ({
      kind: 'drift.ignore',
      name: until,
      until
    }));
    const [section] = feed([known([], overview({}, { rules }))], NOW - DAY, NOW);
    expect(section?.items.map((item) => [item.title, item.over])).toEqual([
      ['2026-12-01', false],
      ['2026-11-20', true]
    ]);
  });
});

describe('environments', () => {
  const deployed = (commit: string, hours: number) => ({ deployed: fact('deployed', hours, { commit }) });
  const dev = overview({ 'apps/web': deployed('b', 2), 'apps/api': deployed('a', 9), db: deployed('a', 9) });
  const prod = overview(
    {
      'apps/web': deployed('a', 8),
      'apps/api': deployed('c', 1),
      db: { ...deployed('a', 3), drift: fact('drifted', 1) }
    },
    { follows: 'dev' }
  );
  const tools = overview({ ci: deployed('x', 1) });
  const all = new Map([
    ['prod', prod],
    ['tools', tools],
    ['dev', dev]
  ]);
  const everything = { filter: '', attention: false, owner: '' };

  it('are columns of one table only where they share stacks, in the order of deployment', () => {
    const groups = matrix(all, everything);
    expect(groups.map((group) => group.environments)).toEqual([['dev', 'prod'], ['tools']]);
    expect(groups[0]?.rows.map((row) => row.name)).toEqual(['db', 'apps/api', 'apps/web']);
    expect(groups[1]?.rows.map((row) => row.name)).toEqual(['ci']);
  });

  it('are behind where the one before has a later deploy of another commit', () => {
    const [group] = matrix(all, everything);
    const behind = group?.rows.filter((row) => row.cells.prod?.behind).map((row) => row.name);
    expect(behind).toEqual(['apps/web']);
    expect(group?.behind).toEqual({ prod: 1 });
    expect(environments(dev, prod).map((pair) => [pair.name, pair.kind])).toEqual([
      ['apps/web', 'behind'],
      ['apps/api', 'differs'],
      ['db', 'same']
    ]);
  });

  it('are found by stack, owner and need of attention', () => {
    const owned = new Map([['prod', overview({ web: { owners: ['@team'] }, db: { drift: fact('drifted', 1) } })]]);
    const names = (wanted: object) =>
      matrix(owned, { ...everything, ...wanted }).flatMap((group) => group.rows.map((row) => row.name));
    expect(names({ filter: 'TEAM' })).toEqual(['web']);
    expect(names({ owner: '@team' })).toEqual(['web']);
    expect(names({ attention: true })).toEqual(['db']);
  });

  it('may follow each other in a circle, or one that does not exist', () => {
    const odd = {
      a: overview({}, { follows: 'b' }),
      b: overview({}, { follows: 'a' }),
      c: overview({}, { follows: 'x' })
    };
    expect(ordered(['c', 'b', 'a'], (name) => odd[name as keyof typeof odd])).toHaveLength(3);
  });

  it('of one chain stand together, however they are called', () => {
    const chain: Record<string, string> = { staging: 'dev', prod: 'staging', canary: 'dev' };
    const names = ['dev', 'prod', 'staging', 'tools', 'canary', 'admin'];
    expect(ordered(names, (name) => overview({}, { follows: chain[name] }))).toEqual([
      'dev',
      'canary',
      'staging',
      'prod',
      'admin',
      'tools'
    ]);
  });
});

describe('trends', () => {
  it('are the four measures by their definitions', () => {
    const lines = [
      run(100, { committed_at: at(101) }),
      run(80, { exit_code: 1 }),
      run(79, { exit_code: 1 }),
      run(70, { committed_at: at(73) }),
      run(60, { exit_code: 1, pipeline: review('1') }),
      run(50, { touched: [] })
    ];
    const found = trends(known(lines).lines, overview({ web: { drift: fact('drifted', 48) } }), NOW);
    expect(found.failureRate).toBe(0.5);
    expect(found.leadTime).toBe(2 * 3600);
    expect(found.restore).toBe(10 * 3600);
    expect(found.driftAge).toBe(48 * 3600);
    expect(found.frequency).toBeCloseTo(2 / 13);
  });

  it('count by weeks that begin on Monday, and leave out what is not known', () => {
    const check = run(10, { stages: ['drift'], statuses: { drifted: 3, ok: 2 } });
    const found = trends(known([run(200), check]).lines, null, NOW).weeks;
    expect(found).toHaveLength(13);
    expect(found.at(-1)).toMatchObject({ begin: '2026-11-23', deploys: 0, drifted: 3, deploySeconds: null });
    expect(found.at(-2)).toMatchObject({ begin: '2026-11-16', deploys: 1, drifted: null, deploySeconds: 10 });
  });
});

describe('two runs', () => {
  it('are compared task by task, differences first', () => {
    const tasks = (web: object) => [
      { stage: 'plan', stack: 'db', status: 'ok' },
      { stage: 'plan', stack: 'web', status: 'ok', ...web }
    ];
    const [one, other] = [tasks({}), tasks({ counts: { add: 1 } })].map((found) =>
      parseRun({ id: '20261124T175155Z-64d6ff', environment: 'prod', tasks: found })
    );
    expect(one && other && runs(one, other).map((pair) => [pair.name, pair.same])).toEqual([
      ['plan:web', false],
      ['plan:db', true]
    ]);
  });
});

describe('links', () => {
  const pipeline = (forge: string, url: string): Pipeline => ({
    forge,
    url,
    id: '1',
    job: null,
    actor: '',
    review: '12'
  });

  it('lead to the commit and the merge request on both forges', () => {
    const gitlab = pipeline('gitlab', 'https://git.test/a/b/-/pipelines/9');
    expect(commitLink(gitlab, SHA)).toBe(`https://git.test/a/b/-/commit/${SHA}`);
    expect(reviewLink(gitlab)).toBe('https://git.test/a/b/-/merge_requests/12');
    const github = pipeline('github', 'https://github.com/a/b/actions/runs/9');
    expect(commitLink(github, SHA)).toBe(`https://github.com/a/b/commit/${SHA}`);
    expect(reviewLink(github)).toBe('https://github.com/a/b/pull/12');
  });

  it('are left out where the address or commit has another form', () => {
    expect(commitLink(pipeline('gitlab', 'https://x.test/1'), SHA)).toBeNull();
    expect(commitLink(pipeline('gitlab', 'https://git.test/a/-/pipelines/9'), 'javascript:x')).toBeNull();
    expect(reviewLink({ ...pipeline('gitlab', 'https://git.test/a/-/pipelines/9'), review: '../x' })).toBeNull();
    expect(commitLink(null, SHA)).toBeNull();
  });
});
