import { error } from '@sveltejs/kit';
import { RUN_ID, type Counts, type Failure, type Line, type Task } from '$lib/records';
import { history } from '$lib/server/history';
import { shownRun, shownTask, type Shown } from '$lib/state';

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
    run: { ...head, status: shownRun(record) },
    stacks: stacks(all),
    previous: previous(record),
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

/** The run of the same stages before this one, to compare it with. */
function previous(run: Line): string | null {
  const stages = run.stages.join();
  const lines = history().source.lines(run.environment);
  return lines.find((line) => line.id < run.id && line.stages.join() === stages)?.id ?? null;
}

interface ProcessedStack {
  name: string;
  stage: string;
  status: Shown;
  counts: Counts;
  /** Whether the counts are what a plan would do, not what was done. */
  planned: boolean;
}

const LATER = ['validate', 'plan', 'drift', 'deploy', 'verify'];
const MOST_STACKS = 200;

/** The stacks that a run processed, each with the last of its tasks, what failed or destroys first. */
function stacks(tasks: Task[]): ProcessedStack[] {
  const found = new Map<string, ProcessedStack>();
  const later = [...tasks].sort((one, other) => LATER.indexOf(one.stage) - LATER.indexOf(other.stage));
  for (const task of later.filter((item) => item.stage !== 'build')) {
    const before = found.get(task.stack);
    if (before?.status.state === 'failed') continue;
    const own = Object.keys(task.counts).length > 0;
    const counts = own ? task.counts : (before?.counts ?? {});
    const planned = own ? task.stage === 'plan' : (before?.planned ?? false);
    const status = shownTask({ ...task, counts });
    found.set(task.stack, { name: task.stack, stage: task.stage, status, counts, planned });
  }
  const rank = ({ status }: ProcessedStack): number => FIRST.indexOf(status.state) + 1 || FIRST.length + 1;
  const sorted = [...found.values()].sort((one, other) => rank(one) - rank(other) || (one.name < other.name ? -1 : 1));
  return sorted.slice(0, MOST_STACKS);
}

const FIRST = ['failed', 'destroys', 'destroyed', 'running', 'drifted', 'not_run'];
const BY_SEVERITY = [
  'unaffected',
  'deferred',
  'ok',
  'undeployed',
  'adopted',
  'skipped',
  'not_run',
  'drifted',
  'running',
  'failed'
];

function worst(one: string | undefined, other: string): string {
  return one !== undefined && BY_SEVERITY.indexOf(one) >= BY_SEVERITY.indexOf(other) ? one : other;
}
