import { error } from '@sveltejs/kit';
import { RUN_ID, type Failure, type Task } from '$lib/records';
import { history } from '$lib/server/history';
import { runStatus } from '$lib/state';

const MOST_TASKS = 400;
const MOST_DRAWN = 150;
const PRIORITY = ['failed', 'running', 'drifted'];

/** One run: its tasks in the order they started, what failed, and its graph. */
export async function load({ params, parent }) {
  await parent();
  const record = RUN_ID.test(params.run) ? await history().run(params.env, params.run) : null;
  if (!record) error(404, 'No record of this run. It may be older than the records that are kept.');
  const failed = new Set(record.tasks.filter((task) => task.status === 'failed').map((task) => task.name));
  const details = failed.size ? await history().details(params.env, record.id, (name) => failed.has(name)) : [];
  const failures: Record<string, Failure> = Object.fromEntries(
    details.map(({ task, error, log, problem }) => [task, { error, log, problem }])
  );
  const byTime = (one: Task, other: Task): number => one.offset - other.offset || (one.name < other.name ? -1 : 1);
  const urgent = record.tasks.filter((task) => PRIORITY.includes(task.status));
  const rest = record.tasks.filter((task) => !PRIORITY.includes(task.status));
  const tasks = [...urgent, ...rest].slice(0, MOST_TASKS).sort(byTime);
  const { tasks: all, touched, graph, ...head } = record;
  const drawn = Object.keys(graph).length;
  const last = Math.max(0, ...all.map((task) => task.offset + task.seconds));
  const soFar = record.endedAt === null ? (Date.parse(record.writtenAt) - Date.parse(record.startedAt)) / 1000 : 0;
  const states: Record<string, string> = {};
  for (const task of all.filter((item) => item.stage !== 'build'))
    states[task.stack] = worst(states[task.stack], task.status);
  return {
    run: { ...head, status: runStatus(record) },
    tasks,
    total: all.length,
    failures,
    states: drawn > MOST_DRAWN ? {} : states,
    graph: drawn > MOST_DRAWN ? {} : graph,
    drawn,
    length: Math.max(record.seconds ?? 0, last, soFar),
    touched: touched.length
  };
}

const BY_SEVERITY = ['unaffected', 'deferred', 'ok', 'undeployed', 'skipped', 'not_run', 'drifted', 'running', 'failed'];

function worst(one: string | undefined, other: string): string {
  return one !== undefined && BY_SEVERITY.indexOf(one) >= BY_SEVERITY.indexOf(other) ? one : other;
}
