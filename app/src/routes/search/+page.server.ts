import { filterIn } from '$lib/filter';
import { history } from '$lib/server/history';
import { addressesIn, runsFor, stacksFor } from '$lib/server/search';
import { marks } from '$lib/state';
import { listed } from '$lib/views';

const MOST = 50;

/** Stacks, runs and resources of all environments that a text is found in. */
export async function load({ url, parent }) {
  const { environments } = await parent();
  const query = filterIn(url);
  if (query === '') return { query, stacks: [], runs: [], resources: [], searched: 0, more: { stacks: 0, runs: 0 } };
  const records = history();
  const stacks = stacksFor(records.source, environments, query);
  const runs = runsFor(records.source, environments, query);
  const { found, searched } = await addressesIn(records, environments, query);
  return {
    query,
    stacks: stacks.slice(0, MOST).map(({ environment, stack }) => ({
      environment,
      name: stack.name,
      owners: stack.owners,
      marks: marks(stack)
    })),
    runs: runs.slice(0, MOST).map(listed),
    resources: found.slice(0, MOST),
    searched,
    more: { stacks: Math.max(stacks.length - MOST, 0), runs: Math.max(runs.length - MOST, 0) }
  };
}
