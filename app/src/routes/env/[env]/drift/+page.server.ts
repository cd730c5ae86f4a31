import { driftGroups, driftWays, groupWays, headline, type Found } from '$lib/drift';
import { history } from '$lib/server/history';
import { listed } from '$lib/views';

const CHECKED = 20;
const MOST = 200;

/** New, known and resolved drift, what rules ignore, and code that is not deployed. */
export async function load({ params, parent }) {
  await parent();
  const records = history();
  const lines = records.source
    .lines(params.env)
    .filter((line) => line.stages.includes('drift') && line.endedAt !== null);
  const checks = await records.runs(params.env, lines.slice(0, CHECKED));
  const groups = driftGroups(checks);
  const stacks = records.source.overview(params.env)?.stacks ?? [];
  const status = new Map(stacks.map((stack) => [stack.name, stack.drift]));
  // A deploy since the check has put right what it found; the overview knows that, and also what has no record here.
  const current = (found: Found[]) => found.filter((item) => status.get(item.stack)?.status === 'drifted');
  const gone = [...groups.fresh, ...groups.known].filter((item) => status.get(item.stack)?.status === 'none');
  /** What the overview alone knows of, without addresses. */
  const factsOf = (state: string, named: Set<string>) =>
    stacks
      .filter((stack) => stack.drift?.status === state && !named.has(stack.name))
      .map((stack): Found => {
        const { text = '', since = '' } = stack.drift ?? {};
        return { stack: stack.name, address: text, class: '', severity: '', delta: 'known', since, ignored: null };
      });
  const unnamed = factsOf('drifted', new Set([...groups.fresh, ...groups.known].map((item) => item.stack)));
  const fresh = current(groups.fresh);
  const known = [...current(groups.known), ...unnamed];
  const undeployed = [
    ...groups.undeployed.filter((item) => status.get(item.stack)?.status !== 'none'),
    ...factsOf('undeployed', new Set(groups.undeployed.map((item) => item.stack)))
  ];
  const last = lines[0] ? listed(lines[0]) : null;
  // A ledger has no runs of checks, but what each of them found.
  const checked = stacks.flatMap(({ drift, driftCheck }) => [drift?.at, driftCheck?.at].filter(Boolean)).sort();
  const failed = stacks.some(({ driftCheck }) => driftCheck?.status === 'failed');
  const outcome = last?.status ?? { state: failed ? 'unchecked' : 'ok', number: 0 };
  const shown = <Item>(items: Item[]) => ({ items: items.slice(0, MOST), total: items.length });
  return {
    fresh: shown(fresh),
    known: shown(known),
    resolved: shown([...groups.resolved, ...gone.map(({ stack, address }) => ({ stack, address }))]),
    ignored: shown(groups.ignored),
    undeployed: shown(undeployed),
    failed: shown(
      stacks.flatMap(({ name, driftCheck }) => (driftCheck?.status === 'failed' ? [{ name, ...driftCheck }] : []))
    ),
    ways: shown(driftWays(checks).filter((item) => status.get(item.stack)?.status === 'drifted')),
    together: groupWays(checks, (stack) => status.get(stack)?.status === 'drifted'),
    checks: lines.length,
    last,
    checkedAt: checked.at(-1) ?? null,
    headline: headline(outcome, fresh.length + known.length, undeployed.length),
    runs: lines.slice(0, 10).map(listed)
  };
}
