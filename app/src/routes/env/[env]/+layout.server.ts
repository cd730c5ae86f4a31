import { error } from '@sveltejs/kit';

/** Only known environments: no other name reaches a source. */
export async function load({ params, parent }) {
  const { environments } = await parent();
  if (!environments.includes(params.env)) error(404, `No runs recorded for environment '${params.env.slice(0, 100)}'.`);
  return { environment: params.env };
}
