import { error } from '@sveltejs/kit';
import { alike, processed, states } from '$lib/processed';
import { RUN_ID, type Failure, type Line, type Task } from '$lib/records';
import { history } from '$lib/server/history';
import { shownRun } from '$lib/state';

const MOST_TASKS = 400;
const MOST_DRAWN = 150;
const MOST_STACKS = 200;
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
  return {
    run: { ...head, status: shownRun(record) },
    stacks: alike(processed(all)).slice(0, MOST_STACKS),
    previous: previous(record),
    tasks,
    total: all.length,
    failures,
    states: drawn > MOST_DRAWN ? {} : states(all),
    graph: drawn > MOST_DRAWN ? {} : graph,
    drawn,
    length: Math.max(record.seconds ?? 0, last, soFar),
    touched: touched.length
  };
}

/** The run of the same stages before this one, to compare it with. */
function previous(run: Line): string | null {
  const stages = run.stages.join();
  const lines = history().source.lines(run.environment);
  return lines.find((line) => line.id < run.id && line.stages.join() === stages)?.id ?? null;
}
