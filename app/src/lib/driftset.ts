import type { RunRecord } from './records';

export interface Drifted {
  stack: string;
  address: string;
}

export interface DriftSets {
  fresh: Drifted[];
  known: Drifted[];
  resolved: Drifted[];
}

/**
 * What drifted newly, what had drifted before, and what drifts no more: of each stack its latest check against the one
 * before. A check that failed says nothing.
 *
 * @param runs Runs of `doit drift`, the latest first.
 */
export function driftSets(runs: RunRecord[]): DriftSets {
  const seen = new Map<string, string[][]>();
  for (const run of runs) {
    for (const task of run.tasks) {
      if (task.stage !== 'drift' || !['ok', 'drifted', 'undeployed'].includes(task.status)) continue;
      const checks = seen.get(task.stack) ?? [];
      if (checks.length < 2) seen.set(task.stack, [...checks, task.drifted]);
    }
  }
  const sets: DriftSets = { fresh: [], known: [], resolved: [] };
  for (const stack of [...seen.keys()].sort()) {
    const [now = [], before = []] = seen.get(stack) ?? [];
    for (const address of now) (before.includes(address) ? sets.known : sets.fresh).push({ stack, address });
    for (const address of before) if (!now.includes(address)) sets.resolved.push({ stack, address });
  }
  return sets;
}
