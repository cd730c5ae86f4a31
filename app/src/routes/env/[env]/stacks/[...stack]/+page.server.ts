import { error } from '@sveltejs/kit';
import { shownChanges, type ShownChanges } from '$lib/changes';
import { latestFailure } from '$lib/failures';
import { page } from '$lib/paging';
import { RUN_ID, type Failure, type Line, type RunRecord } from '$lib/records';
import { history } from '$lib/server/history';
import { marks } from '$lib/state';
import { listed } from '$lib/views';

const ROWS = 20;
const MOST_SEARCHED = 12;
const STAGES = ['plan', 'deploy', 'drift'];

/** One stack: its state, its latest plan or that of a given run, and its history. */
export async function load({ params, url, parent }) {
  await parent();
  const records = history();
  const overview = records.source.overview(params.env);
  const stack = overview?.stacks.find((item) => item.name === params.stack) ?? null;
  const lines = records.source.lines(params.env).filter((line) => line.touched.includes(params.stack));
  if (!stack && lines.length === 0) error(404, `No stack '${params.stack.slice(0, 200)}' in this environment.`);
  const query = url.searchParams.get('run') ?? '';
  const requested = RUN_ID.test(query) ? query : '';
  const chosen = requested ? lines.filter((line) => line.id === requested) : lines;
  const plan = await latestPlan(params.env, params.stack, chosen.slice(0, MOST_SEARCHED));
  const shown = page(lines, url.searchParams.get('page'), ROWS);
  const runs = await records.runs(params.env, shown.items);
  const items = runs.map((run) => ({
    run: listed(run),
    tasks: run.tasks.filter((task) => task.stack === params.stack && task.stage !== 'build')
  }));
  const neededBy = overview?.stacks.filter((item) => item.needs.includes(params.stack)).map((item) => item.name) ?? [];
  return {
    name: params.stack,
    stack,
    marks: stack ? marks(stack) : [],
    neededBy,
    failure: await failureIn(await records.runs(params.env, chosen.slice(0, ROWS)), params.stack, requested !== ''),
    plan,
    requested: chosen.length ? requested : '',
    history: { ...shown, items }
  };
}

interface Plan {
  run: string;
  at: string;
  stage: string;
  summary: string;
  reasons: string[];
  changes: ShownChanges;
}

/** The plan in the latest run that has one of this stack. In a run that deployed, deploy's own is later than plan's. */
async function latestPlan(environment: string, stack: string, lines: Line[]): Promise<Plan | null> {
  for (const line of lines) {
    const wanted = STAGES.map((stage) => `${stage}:${stack}`);
    const found = await history().details(environment, line.id, (name) => wanted.includes(name));
    const plans = found.filter((item) => item.hasChanges && (item.stage !== 'drift' || item.status !== 'ok'));
    const details = plans.sort((one, other) => STAGES.indexOf(other.stage) - STAGES.indexOf(one.stage))[0];
    if (!details) continue;
    const { stage, summary, reasons } = details;
    const changes = shownChanges([...details.resources, ...details.outputs]);
    return { run: line.id, at: line.startedAt, stage, summary, reasons, changes };
  }
  return null;
}

interface StackFailure {
  run: string;
  at: string;
  stage: string;
  task: string;
  report: Failure;
}

/** The failure that still counts in some runs, latest first; with no more than its summary where its record is gone. */
async function failureIn(runs: RunRecord[], stack: string, reviews: boolean): Promise<StackFailure | null> {
  const found = latestFailure(runs, stack, reviews);
  if (!found) return null;
  const { run, task } = found;
  const [details] = await history().details(run.environment, run.id, (name) => name === task.name);
  const { error, log, problem } = details ?? { error: task.summary, log: '', problem: null };
  return { run: run.id, at: run.startedAt, stage: task.stage, task: task.name, report: { error, log, problem } };
}
