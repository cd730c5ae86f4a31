import { error } from '@sveltejs/kit';

/** An environment that is known; nothing else is looked for anywhere. */
export async function load({ params, parent }) {
  const { environments } = await parent();
  if (!environments.includes(params.env))
    error(404, `No run of an environment '${params.env.slice(0, 100)}' is known.`);
  return { environment: params.env };
}
