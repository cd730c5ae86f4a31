import { driftSets, type Drifted } from '$lib/driftset';
import { history } from '$lib/server/history';
import { listed } from '$lib/views';

const CHECKED = 20;

/** New, known and resolved drift, and code that is not deployed. */
export async function load({ params, parent }) {
  await parent();
  const records = history();
  const lines = records.source
    .lines(params.env)
    .filter((line) => line.stages.includes('drift') && line.endedAt !== null);
  const sets = driftSets(await records.runs(params.env, lines.slice(0, CHECKED)));
  const stacks = records.source.overview(params.env)?.stacks ?? [];
  const since = Object.fromEntries(
    stacks.filter((stack) => stack.drift?.status === 'drifted').map((stack) => [stack.name, stack.drift?.since ?? ''])
  );
  const drifted = (found: Drifted[]) => found.filter((item) => item.stack in since);
  // Drift whose addresses are in none of these checks, or whose class has none: the overview knows that it is there.
  const named = new Set([...sets.fresh, ...sets.known].map((item) => item.stack));
  const unnamed = stacks
    .filter((stack) => stack.drift?.status === 'drifted' && !named.has(stack.name))
    .map((stack) => ({ stack: stack.name, address: stack.drift?.text ?? '' }));
  const undeployed = stacks
    .filter((stack) => stack.drift?.status === 'undeployed')
    .map((stack) => ({ stack: stack.name, text: stack.drift?.text ?? '' }));
  const gone = [...sets.fresh, ...sets.known].filter((item) => !(item.stack in since)); // deployed since
  return {
    fresh: drifted(sets.fresh),
    known: [...drifted(sets.known), ...unnamed],
    resolved: [...sets.resolved, ...gone],
    since,
    undeployed,
    checks: lines.length,
    last: lines[0] ? listed(lines[0]) : null,
    runs: lines.slice(0, 10).map(listed)
  };
}
