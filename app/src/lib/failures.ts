import type { Shared } from './problem';
import type { Failure, RunRecord, Task } from './records';

export interface LatestFailure {
  run: RunRecord;
  task: Task;
}

/**
 * A stack's latest failure that still counts: no later success of its stage, and no later deploy. A failed check is also
 * outdated by a later `verify`.
 *
 * @param runs The runs, latest first.
 * @param reviews Whether runs of merge requests count; they say nothing about what is deployed.
 */
export function latestFailure(runs: RunRecord[], stack: string, reviews = false): LatestFailure | null {
  const succeeded = new Set<string>();
  for (const run of runs.filter((item) => reviews || !item.pipeline?.review)) {
    const tasks = run.tasks.filter((task) => task.stack === stack && task.stage !== 'build');
    for (const task of tasks.sort((one, other) => other.offset - one.offset)) {
      const outdatedBy = [task.stage, 'deploy', ...(task.kind === 'check failed' ? ['verify'] : [])];
      if (task.status === 'failed' && !outdatedBy.some((stage) => succeeded.has(stage))) return { run, task };
      if (['ok', 'drifted', 'undeployed'].includes(task.status)) succeeded.add(task.stage);
    }
  }
  return null;
}

/** The tasks that failed for one reason. */
export interface Cause {
  tasks: Task[];
  /** What the first of them left; null without a record of it. */
  failure: Failure | null;
}

const NOTHING = { untouched: '', next: null, details: '' };

/** A text without the stack that it is about: `doit deploy:web` and `doit deploy:db` are the same advice. */
const nameless = (text: string, stack: string): string =>
  text
    .split(/([\s:`'"]+)/)
    .map((word) => (word === stack ? '' : word))
    .join('');

/**
 * The failed tasks of a run by what went wrong: what is true of all 50 stacks is said once. The run's record says which
 * ones have the same cause; only those of older releases are compared here.
 *
 * @param shared What holds for all that failed for one cause, by the first of them.
 */
export function causes(
  failed: Task[],
  failures: Record<string, Failure>,
  shared: Record<string, Shared> = {}
): Cause[] {
  const found = new Map<string, Cause>();
  for (const task of failed) {
    const failure = failures[task.name] ?? null;
    const problem = failure?.problem ?? { ...NOTHING, kind: task.kind, summary: task.summary };
    const { kind, summary, untouched, next, details } = problem;
    const said = [kind, summary, untouched, next?.text, next?.command, details, failure?.error];
    const key = task.cause || JSON.stringify([task.stage, ...said.map((text) => nameless(text ?? '', task.stack))]);
    const cause = found.get(key);
    if (cause) cause.tasks.push(task);
    else found.set(key, { tasks: [task], failure });
  }
  for (const [key, cause] of found) {
    const all = Object.hasOwn(shared, key) && cause.tasks.length > 1 ? shared[key] : undefined;
    if (all && cause.failure?.problem) {
      cause.failure = { ...cause.failure, problem: { ...cause.failure.problem, ...all } };
    }
  }
  return [...found.values()].sort((one, other) => other.tasks.length - one.tasks.length);
}
