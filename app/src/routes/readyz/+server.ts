import { json } from '@sveltejs/kit';
import { history } from '$lib/server/history';

/** Whether the records can be read. */
export async function GET() {
  await history().refresh();
  const problem = history().problem;
  return problem === null ? json({ status: 'ok' }) : json({ status: 'unready', problem }, { status: 503 });
}
