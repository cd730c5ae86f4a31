import { feed } from '$lib/feed';
import { filterIn } from '$lib/filter';
import { matrix } from '$lib/matrix';
import { page } from '$lib/paging';
import { history } from '$lib/server/history';
import { running, tally } from '$lib/state';
import { listed } from '$lib/views';

const ROWS = 100;
const MOST_ITEMS = 6;
const DAY = 24 * 3600 * 1000;
/** The days that the feed may go back. */
const WINDOWS = [1, 7, 30];

/** What happened since yesterday, every environment at a glance, and the stacks by environment. */
export async function load({ url, parent }) {
  const { environments: names, clock } = await parent();
  const source = history().source;
  const wanted = {
    filter: filterIn(url),
    attention: url.searchParams.get('show') === 'attention',
    owner: url.searchParams.get('owner') ?? ''
  };
  const days = WINDOWS.find((number) => String(number) === url.searchParams.get('days')) ?? 1;
  const known = names.map((name) => ({ name, lines: source.lines(name), overview: source.overview(name) }));
  const groups = matrix(new Map(known.map(({ name, overview }) => [name, overview])), wanted);
  const environments = known.map(({ name, lines, overview }) => {
    const stacks = overview?.stacks ?? [];
    const last = lines.find((line) => line.endedAt !== null && !line.pipeline?.review);
    const deploy = lines.find((line) => line.stages.includes('deploy') && line.exitCode === 0);
    return {
      name,
      stacks: stacks.length,
      tally: tally(stacks),
      follows: overview?.follows ?? null,
      behind: groups.find((group) => group.environments.includes(name))?.behind[name] ?? 0,
      runs: lines.length,
      running: running(lines).map(listed),
      last: last ? listed(last) : null,
      deployedAt: deploy?.endedAt ?? null
    };
  });
  const owners = new Set(known.flatMap(({ overview }) => overview?.stacks.flatMap((stack) => stack.owners) ?? []));
  return {
    overview: environments,
    ...wanted,
    days,
    windows: WINDOWS,
    owners: [...owners].sort(),
    feed: feed(known, clock - days * DAY, clock).map((section) => ({
      ...section,
      items: section.items.slice(0, MOST_ITEMS),
      left: Math.max(section.items.length - MOST_ITEMS, 0)
    })),
    groups: groups
      .filter((group) => group.rows.length > 0)
      .map(({ environments, rows }) => ({ environments, page: page(rows, url.searchParams.get('page'), ROWS) }))
  };
}
