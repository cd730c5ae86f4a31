import { history } from '$lib/server/history';
import { trends } from '$lib/trends';

/** How an environment's deploys went over the last weeks. */
export async function load({ params, parent }) {
  const { clock } = await parent();
  const source = history().source;
  return { trends: trends(source.lines(params.env), source.overview(params.env), clock) };
}
