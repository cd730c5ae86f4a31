import type { Fact, Overview, StackEntry } from './records';
import { marks, needsAttention, urgency } from './state';

export interface Cell {
  marks: string[];
  commit: string | null;
  at: string | null;
  /** Whether the environment before this one has a later deploy of another commit. */
  behind: boolean;
}

export interface Row {
  name: string;
  folder: string;
  owners: string[];
  urgency: number;
  cells: Record<string, Cell>;
}

/** Environments that share stacks, with these stacks; an environment on its own is a group of one. */
export interface Group {
  environments: string[];
  rows: Row[];
  /** How many stacks each environment has to catch up on with the one before it. */
  behind: Record<string, number>;
}

export interface Wanted {
  filter: string;
  attention: boolean;
  owner: string;
}

/** The stacks by environment: those of the same folder together, the most urgent folder and stack first. */
export function matrix(overviews: Map<string, Overview | null>, wanted: Wanted): Group[] {
  return related(overviews).map((names) => {
    const rows = new Map<string, Row>();
    const behind: Record<string, number> = {};
    for (const name of names) {
      const overview = overviews.get(name);
      const before = overview?.follows ? overviews.get(overview.follows) : null;
      const earlier = new Map(before?.stacks.map((stack) => [stack.name, stack.deployed]));
      for (const stack of overview?.stacks ?? []) {
        const cell = cellOf(stack, earlier.get(stack.name));
        if (cell.behind) behind[name] = (behind[name] ?? 0) + 1;
        if (!isWanted(stack, wanted)) continue;
        const row = rows.get(stack.name) ?? newRow(stack);
        row.urgency = Math.min(row.urgency, urgency(stack));
        row.cells[name] = cell;
        rows.set(stack.name, row);
      }
    }
    return { environments: names, rows: sorted([...rows.values()]), behind };
  });
}

function cellOf(stack: StackEntry, earlier: Fact | null | undefined): Cell {
  const { commit = null, at = null } = stack.deployed ?? {};
  return { marks: marks(stack), commit, at, behind: isBehind(stack.deployed, earlier) };
}

/** Whether what was deployed before has since been deployed with another commit in the environment that comes first. */
export function isBehind(deployed: Fact | null, earlier: Fact | null | undefined): boolean {
  if (!earlier?.commit || earlier.commit === deployed?.commit) return false;
  return Date.parse(earlier.at) > (Date.parse(deployed?.at ?? '') || 0);
}

const newRow = (stack: StackEntry): Row => ({
  name: stack.name,
  folder: folderOf(stack.name),
  owners: stack.owners,
  urgency: 9,
  cells: {}
});

const folderOf = (name: string): string => (name.includes('/') ? name.slice(0, name.lastIndexOf('/')) : '');

function isWanted(stack: StackEntry, { filter, attention, owner }: Wanted): boolean {
  const text = `${stack.name} ${stack.owners.join(' ')}`.toLowerCase();
  if (attention && !needsAttention(stack)) return false;
  return (owner === '' || stack.owners.includes(owner)) && text.includes(filter.toLowerCase());
}

/** The environments in groups: two are in one if they share a stack. Each after the one that it follows. */
function related(overviews: Map<string, Overview | null>): string[][] {
  const groups: { environments: string[]; stacks: Set<string> }[] = [];
  for (const [name, overview] of overviews) {
    const stacks = new Set(overview?.stacks.map((stack) => stack.name));
    const same = groups.filter((group) => [...stacks].some((stack) => group.stacks.has(stack)));
    const environments = [...same.flatMap((group) => group.environments), name];
    const all = new Set([...stacks, ...same.flatMap((group) => [...group.stacks])]);
    groups.splice(0, groups.length, ...groups.filter((group) => !same.includes(group)), { environments, stacks: all });
  }
  for (const group of groups) group.environments = ordered(group.environments, (name) => overviews.get(name) ?? null);
  groups.sort((one, other) => other.stacks.size - one.stacks.size);
  return groups.map((group) => group.environments);
}

/** Environments by name, each after the one that it follows; those of one chain together, the longest chain first. */
export function ordered(names: string[], overview: (name: string) => Overview | null): string[] {
  const way = (name: string, seen: string[] = []): string[] => {
    const before = overview(name)?.follows;
    const known = before && names.includes(before) && before !== name && !seen.includes(before);
    return known ? [...way(before, [...seen, name]), name] : [name];
  };
  const ways = new Map(names.map((name) => [name, way(name)]));
  const first = (name: string): string => ways.get(name)?.[0] ?? name;
  const length = (name: string): number => names.filter((other) => first(other) === first(name)).length;
  return [...names].sort(
    (one, other) =>
      length(other) - length(one) ||
      compare(first(one), first(other)) ||
      (ways.get(one)?.length ?? 0) - (ways.get(other)?.length ?? 0) ||
      compare(one, other)
  );
}

function sorted(rows: Row[]): Row[] {
  const folders = new Map<string, number>();
  for (const row of rows) folders.set(row.folder, Math.min(folders.get(row.folder) ?? 9, row.urgency));
  const rank = (row: Row): number => folders.get(row.folder) ?? 9;
  return rows.sort(
    (one, other) =>
      rank(one) - rank(other) ||
      compare(one.folder, other.folder) ||
      one.urgency - other.urgency ||
      compare(one.name, other.name)
  );
}

const compare = (one: string, other: string): number => (one < other ? -1 : one > other ? 1 : 0);
