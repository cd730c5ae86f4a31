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
 * New, known and resolved drift: the latest check of each stack compared with the one before. Failed checks are ignored.
 *
 * @param runs Runs of `doit drift`, latest first.
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
    const [current = [], previous = []] = seen.get(stack) ?? [];
    for (const address of current) (previous.includes(address) ? sets.known : sets.fresh).push({ stack, address });
    for (const address of previous) if (!current.includes(address)) sets.resolved.push({ stack, address });
  }
  return sets;
}
