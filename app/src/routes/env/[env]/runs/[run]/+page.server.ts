import { error } from '@sveltejs/kit';
import { RUN_ID, type Failure, type Task } from '$lib/records';
import { history } from '$lib/server/history';
import { runStatus } from '$lib/state';

const MOST = 400;
const DRAWN = 150;
const URGENT = ['failed', 'running', 'drifted'];

/** One run: its tasks in the order they began, what failed, and its graph. */
export async function load({ params, parent }) {
  await parent();
  const record = RUN_ID.test(params.run) ? await history().run(params.env, params.run) : null;
  if (!record) error(404, 'No such run is on record; it may be older than what is kept.');
  const failed = new Set(record.tasks.filter((task) => task.status === 'failed').map((task) => task.name));
  const details = failed.size ? await history().details(params.env, record.id, (name) => failed.has(name)) : [];
  const failures: Record<string, Failure> = Object.fromEntries(
    details.map(({ task, error, log }) => [task, { error, log }])
  );
  const byTime = (one: Task, other: Task): number => one.offset - other.offset || (one.name < other.name ? -1 : 1);
  const urgent = record.tasks.filter((task) => URGENT.includes(task.status));
  const rest = record.tasks.filter((task) => !URGENT.includes(task.status));
  const tasks = [...urgent, ...rest].slice(0, MOST).sort(byTime);
  const { tasks: all, touched, graph, ...head } = record;
  const drawn = Object.keys(graph).length;
  const last = Math.max(0, ...all.map((task) => task.offset + task.seconds));
  const going = record.endedAt === null ? (Date.parse(record.writtenAt) - Date.parse(record.startedAt)) / 1000 : 0;
  const states: Record<string, string> = {};
  for (const task of all.filter((item) => item.stage !== 'build'))
    states[task.stack] = worse(states[task.stack], task.status);
  return {
    run: { ...head, status: runStatus(record) },
    tasks,
    total: all.length,
    failures,
    states: drawn > DRAWN ? {} : states,
    graph: drawn > DRAWN ? {} : graph,
    drawn,
    length: Math.max(record.seconds ?? 0, last, going),
    touched: touched.length
  };
}

const ORDER = ['unaffected', 'deferred', 'ok', 'undeployed', 'not_run', 'drifted', 'running', 'failed'];

function worse(one: string | undefined, other: string): string {
  return one !== undefined && ORDER.indexOf(one) >= ORDER.indexOf(other) ? one : other;
}
