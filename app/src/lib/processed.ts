import type { Counts, Task } from './records';
import { shown, shownTask, type Shown } from './state';

/** What a run did with a stack. */
export interface ProcessedStack {
  name: string;
  stage: string;
  status: Shown;
  counts: Counts;
  /** Whether the counts are what a plan would do, not what was done. */
  planned: boolean;
}

const LATER = ['validate', 'plan', 'drift', 'deploy', 'verify'];
const FIRST = ['failed', 'destroys', 'destroyed', 'running', 'drifted', 'not_run'];
const BY_SEVERITY = [
  'unaffected',
  'deferred',
  'ok',
  'undeployed',
  'adopted',
  'skipped',
  'destroys',
  'destroyed',
  'not_run',
  'drifted',
  'running',
  'failed'
];

/** The stacks that a run processed, each with the last of its tasks, what failed or destroys first. */
export function processed(tasks: Task[]): ProcessedStack[] {
  const found = new Map<string, ProcessedStack>();
  const later = [...tasks].sort((one, other) => LATER.indexOf(one.stage) - LATER.indexOf(other.stage));
  for (const task of later.filter((item) => item.stage !== 'build')) {
    const before = found.get(task.stack);
    if (before?.status.state === 'failed') continue;
    const own = Object.keys(task.counts).length > 0;
    const counts = own ? task.counts : (before?.counts ?? {});
    const planned = own ? task.stage === 'plan' : (before?.planned ?? false);
    const applied = planned || task.stage === 'drift' ? undefined : counts;
    const status = shown(task.status, planned ? counts : undefined, applied);
    found.set(task.stack, { name: task.stack, stage: task.stage, status, counts, planned });
  }
  const rank = ({ status }: ProcessedStack): number => FIRST.indexOf(status.state) + 1 || FIRST.length + 1;
  return [...found.values()].sort((one, other) => rank(one) - rank(other) || (one.name < other.name ? -1 : 1));
}

const MANY = 4;

/** Stacks of which the same is to be said: the first one, and the others, which one line names. */
export interface Alike {
  first: ProcessedStack;
  others: ProcessedStack[];
}

/** The rows of a table of stacks: many that ended alike are one. */
export function alike(stacks: ProcessedStack[]): Alike[] {
  const groups = new Map<string, ProcessedStack[]>();
  const key = ({ stage, status, counts, planned }: ProcessedStack): string =>
    JSON.stringify([stage, status, Object.entries(counts).sort(), planned]);
  for (const stack of stacks) groups.set(key(stack), [...(groups.get(key(stack)) ?? []), stack]);
  return [...groups.values()].flatMap(([first, ...others]) => {
    if (!first) return [];
    return others.length + 1 < MANY
      ? [first, ...others].map((stack) => ({ first: stack, others: [] }))
      : [{ first, others }];
  });
}

/** The worst state of each stack's tasks, as the graph shows it. */
export function states(tasks: Task[]): Record<string, string> {
  const found: Record<string, string> = {};
  for (const task of tasks.filter((item) => item.stage !== 'build'))
    found[task.stack] = worst(found[task.stack], shownTask(task).state);
  return found;
}

function worst(one: string | undefined, other: string): string {
  return one !== undefined && BY_SEVERITY.indexOf(one) >= BY_SEVERITY.indexOf(other) ? one : other;
}
