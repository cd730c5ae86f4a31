import { ordered } from '$lib/matrix';
import { history } from '$lib/server/history';

/** What every page needs: the environments, the user, the state of the records, and the time that `5 min ago` refers to. */
export async function load({ locals }) {
  const records = history();
  await records.refresh();
  const names = ordered(records.source.environments(), (name) => records.source.overview(name));
  return {
    state: records.state,
    environments: names,
    newer: names.some((name) => records.source.lines(name).some((line) => line.newer)),
    problem: records.problem ? `${records.source.name}: ${records.problem}` : null,
    source: records.source.name,
    isLedger: records.source.isLedger,
    user: locals.user,
    theme: locals.theme,
    clock: Date.now()
  };
}
