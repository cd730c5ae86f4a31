import type { RunRecord, Task } from './records';

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
