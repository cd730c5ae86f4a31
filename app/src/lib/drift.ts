import type { Finding, GroupWay, RunRecord, Way } from './records';
import type { Shown } from './state';

export interface Found extends Finding {
  stack: string;
}

/** The drift of an environment, as the latest check of each stack compares it with the one before. */
export interface DriftGroups {
  /** New, changed again, or not comparable. */
  fresh: Found[];
  known: Found[];
  resolved: { stack: string; address: string }[];
  undeployed: Found[];
  ignored: Found[];
}

/**
 * The latest findings of each stack; checks that failed are left out.
 *
 * @param runs Runs of `doit drift`, latest first.
 */
export function driftGroups(runs: RunRecord[]): DriftGroups {
  const groups: DriftGroups = { fresh: [], known: [], resolved: [], undeployed: [], ignored: [] };
  const seen = new Set<string>();
  for (const run of runs) {
    for (const task of run.tasks) {
      if (task.stage !== 'drift' || !['ok', 'drifted', 'undeployed'].includes(task.status)) continue;
      if (seen.has(task.stack)) continue;
      seen.add(task.stack);
      const { stack } = task;
      for (const found of task.findings) groups[groupOf(found)].push({ ...found, stack });
      for (const address of task.resolved) groups.resolved.push({ stack, address });
    }
  }
  const all: { stack: string; address: string }[][] = Object.values(groups);
  for (const items of all) items.sort((one, other) => (key(one) < key(other) ? -1 : 1));
  return groups;
}

/**
 * What can be done about each stack that has drifted, as its latest check says.
 *
 * @param runs Runs of `doit drift`, latest first.
 */
export function driftWays(runs: RunRecord[]): { stack: string; ways: Way[] }[] {
  const found = new Map<string, Way[]>();
  for (const run of runs) {
    for (const task of run.tasks) {
      if (task.stage !== 'drift' || !['ok', 'drifted', 'undeployed'].includes(task.status)) continue;
      if (!found.has(task.stack)) found.set(task.stack, task.ways);
    }
  }
  return [...found]
    .filter(([, ways]) => ways.length > 0)
    .map(([stack, ways]) => ({ stack, ways }))
    .sort((one, other) => (one.stack < other.stack ? -1 : 1));
}

/**
 * What can be done about all stacks that the latest check found drifted; nothing if some no longer are.
 *
 * @param runs Runs of `doit drift`, latest first.
 * @param drifted Whether a stack is still drifted.
 */
export function groupWays(runs: RunRecord[], drifted: (stack: string) => boolean): GroupWay[] {
  const [run] = runs;
  const found = run?.tasks.filter((task) => task.stage === 'drift' && task.status === 'drifted') ?? [];
  return run && found.length > 1 && found.every((task) => drifted(task.stack)) ? run.ways : [];
}

/**
 * What is to be said of an environment before its lists: a check that found drift says nothing of now once a deploy has
 * put that right, and one of some stacks nothing of the others.
 *
 * @param last How the latest check ended.
 * @param drifted How much is drifted now.
 * @param undeployed How much code is not deployed.
 */
export function headline(last: Shown, drifted: number, undeployed: number): Shown & { text: string } {
  if (drifted) return { state: 'drifted', number: 0, text: '' };
  if (!['ok', 'drifted', 'undeployed'].includes(last.state)) return { ...last, text: '' };
  return undeployed ? { state: 'undeployed', number: 0, text: '' } : { state: 'ok', number: 0, text: 'no drift' };
}

const key = (item: { stack: string; address: string }): string => `${item.stack} ${item.address}`;

function groupOf(found: Finding): 'fresh' | 'known' | 'undeployed' | 'ignored' {
  if (found.ignored !== null) return 'ignored';
  if (found.class === 'undeployed') return 'undeployed';
  return found.delta === 'known' ? 'known' : 'fresh';
}

/** What happened to a resource, in words. */
export const CLASSES: Record<string, string> = {
  changed: 'changed outside',
  deleted: 'deleted outside',
  appeared: 'appeared',
  outputs: 'output changed',
  check: 'check block fails',
  state: 'state written by something else',
  undeployed: 'not deployed'
};
