import { filterIn, matches } from '$lib/filter';
import { page } from '$lib/paging';
import { history } from '$lib/server/history';
import { marks, running, tally, urgency } from '$lib/state';
import { listed } from '$lib/views';

const ROWS = 100;

/** The stacks of an environment, most urgent first, and its latest runs. */
export async function load({ params, url, parent }) {
  await parent();
  const source = history().source;
  const overview = source.overview(params.env);
  const stacks = overview?.stacks ?? [];
  const filter = filterIn(url);
  const state = url.searchParams.get('state') ?? '';
  const selected = stacks.filter(
    (stack) => matches(stack.name, filter) && (state === '' || marks(stack).includes(state))
  );
  selected.sort((one, other) => urgency(one) - urgency(other) || (one.name < other.name ? -1 : 1));
  const shown = page(selected, url.searchParams.get('page'), ROWS);
  const lines = source.lines(params.env);
  return {
    filter,
    state,
    tally: tally(stacks),
    total: stacks.length,
    commit: overview?.commit ?? null,
    stacks: { ...shown, items: shown.items.map((stack) => ({ ...stack, marks: marks(stack) })) },
    running: running(lines).map(listed),
    runs: lines.slice(0, 5).map(listed)
  };
}
