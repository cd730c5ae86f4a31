import { filterIn, matches } from '$lib/filter';
import { page } from '$lib/paging';
import { history } from '$lib/server/history';
import { marks, needsAttention, running, tally, urgency } from '$lib/state';
import { listed } from '$lib/views';

const ROWS = 100;

/** Every environment at a glance, and the stacks by environment, most urgent first. */
export async function load({ url, parent }) {
  const { environments: names } = await parent();
  const source = history().source;
  const filter = filterIn(url);
  const attention = url.searchParams.get('show') === 'attention';
  const rows = new Map<string, { urgency: number; cells: Record<string, Cell> }>();
  const environments = names.map((name) => {
    const stacks = source.overview(name)?.stacks ?? [];
    for (const stack of stacks) {
      if (!matches(stack.name, filter)) continue;
      if (attention && !needsAttention(stack)) continue;
      const row = rows.get(stack.name) ?? { urgency: 9, cells: {} };
      row.urgency = Math.min(row.urgency, urgency(stack));
      row.cells[name] = { marks: marks(stack), commit: stack.deployed?.commit ?? null, at: stack.deployed?.at ?? null };
      rows.set(stack.name, row);
    }
    const lines = source.lines(name);
    const last = lines.find((line) => line.endedAt !== null && !line.pipeline?.review);
    const deploy = lines.find((line) => line.stages.includes('deploy') && line.exitCode === 0);
    return {
      name,
      stacks: stacks.length,
      tally: tally(stacks),
      runs: lines.length,
      running: running(lines).map(listed),
      last: last ? listed(last) : null,
      deployedAt: deploy?.endedAt ?? null
    };
  });
  const sorted = [...rows.entries()].sort(
    ([one, first], [other, second]) => first.urgency - second.urgency || (one < other ? -1 : 1)
  );
  const shown = page(sorted, url.searchParams.get('page'), ROWS);
  return {
    overview: environments,
    filter,
    attention,
    matrix: { ...shown, items: shown.items.map(([name, row]) => ({ name, cells: row.cells })) }
  };
}

interface Cell {
  marks: string[];
  commit: string | null;
  at: string | null;
}
