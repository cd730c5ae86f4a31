import { isBehind } from './matrix';
import type { Fact, Overview, RunRecord, StackEntry, Task } from './records';
import { marks } from './state';

export interface Side {
  marks: string[];
  commit: string | null;
  deployed: Fact | null;
}

export interface Pair {
  name: string;
  one: Side | null;
  other: Side | null;
  /** Deployed in `only` one of them or in `neither`, `behind`, another commit (`differs`), or the same. */
  kind: 'only' | 'neither' | 'behind' | 'differs' | 'same';
}

const ORDER: Pair['kind'][] = ['behind', 'differs', 'only', 'same', 'neither'];

/** The stacks of two environments side by side; those of the second that are behind the first come first. */
export function environments(one: Overview | null, other: Overview | null): Pair[] {
  const [left, right] = [byName(one), byName(other)];
  const names = [...new Set([...left.keys(), ...right.keys()])].sort();
  const pairs = names.map((name): Pair => {
    const [first, second] = [left.get(name), right.get(name)];
    return { name, one: side(first), other: side(second), kind: kind(first, second) };
  });
  return pairs.sort((first, second) => ORDER.indexOf(first.kind) - ORDER.indexOf(second.kind));
}

const byName = (overview: Overview | null): Map<string, StackEntry> =>
  new Map((overview?.stacks ?? []).map((stack) => [stack.name, stack]));

const side = (stack: StackEntry | undefined): Side | null =>
  stack ? { marks: marks(stack), commit: stack.deployed?.commit ?? null, deployed: stack.deployed } : null;

function kind(one: StackEntry | undefined, other: StackEntry | undefined): Pair['kind'] {
  if (!one || !other) return 'only';
  if (!one.deployed && !other.deployed) return 'neither';
  if (isBehind(other.deployed, one.deployed)) return 'behind';
  if (!one.deployed) return 'only';
  return one.deployed?.commit === other.deployed?.commit ? 'same' : 'differs';
}

export interface RunPair {
  name: string;
  one: Task | null;
  other: Task | null;
  same: boolean;
}

/** The tasks of two runs side by side, those that ended differently first. */
export function runs(one: RunRecord, other: RunRecord): RunPair[] {
  const [left, right] = [one, other].map((run) => new Map(run.tasks.map((task) => [task.name, task])));
  const names = [...new Set([...(left?.keys() ?? []), ...(right?.keys() ?? [])])].sort();
  const pairs = names.map((name): RunPair => {
    const [first = null, second = null] = [left?.get(name), right?.get(name)];
    const same = first?.status === second?.status && JSON.stringify(first?.counts) === JSON.stringify(second?.counts);
    return { name, one: first, other: second, same };
  });
  return pairs.sort((first, second) => Number(first.same) - Number(second.same));
}
