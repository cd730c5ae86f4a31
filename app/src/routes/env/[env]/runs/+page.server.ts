import { page } from '$lib/paging';
import { history } from '$lib/server/history';
import { runStatus } from '$lib/state';
import { listed } from '$lib/views';

const ROWS = 50;
const STAGES = ['plan', 'deploy', 'verify', 'drift', 'validate', 'build'];

/** The runs of an environment, latest first. */
export async function load({ params, url, parent }) {
  await parent();
  const lines = history().source.lines(params.env);
  const stage = STAGES.find((name) => name === url.searchParams.get('stage')) ?? '';
  const failed = url.searchParams.get('failed') === 'yes';
  const selected = lines.filter(
    (line) =>
      (stage === '' || line.stages.includes(stage)) &&
      (!failed || ['failed', 'killed', 'stopped'].includes(runStatus(line)))
  );
  const shown = page(selected, url.searchParams.get('page'), ROWS);
  const stages = STAGES.filter((name) => lines.some((line) => line.stages.includes(name)));
  return { stage, failed, stages, all: lines.length, runs: { ...shown, items: shown.items.map(listed) } };
}
