import { error } from '@sveltejs/kit';
import { environments, runs } from '$lib/compare';
import { RUN_ID, type RunRecord } from '$lib/records';
import { history } from '$lib/server/history';
import { listed } from '$lib/views';

const MOST = 500;

/** Two environments side by side, or two runs: `one` and `other` are names, or `ENVIRONMENT/RUN`. */
export async function load({ url, parent }) {
  const { environments: names } = await parent();
  const [one, other] = [url.searchParams.get('one') ?? '', url.searchParams.get('other') ?? ''];
  const source = history().source;
  if (one.includes('/') || other.includes('/')) {
    const [first, second] = [await run(names, one), await run(names, other)];
    return { kind: 'runs' as const, runs: [listed(first), listed(second)], tasks: runs(first, second).slice(0, MOST) };
  }
  const [left, right] = [names.includes(one) ? one : names[0], names.includes(other) ? other : names[1]];
  if (!left || !right)
    return { kind: 'environments' as const, one: left ?? '', other: right ?? '', stacks: [], left: 0 };
  const pairs = environments(source.overview(left), source.overview(right));
  const stacks = pairs.slice(0, MOST);
  return { kind: 'environments' as const, one: left, other: right, stacks, left: pairs.length - stacks.length };
}

async function run(names: string[], place: string): Promise<RunRecord> {
  const [environment = '', id = ''] = place.split('/');
  const known = names.includes(environment) && RUN_ID.test(id);
  const found = known ? await history().run(environment, id) : null;
  if (!found) error(404, 'No record of one of these runs. It may be older than the records that are kept.');
  return found;
}
