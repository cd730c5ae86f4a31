import { json, plain } from './json';
import type { Change } from './records';

export interface Field {
  path: string;
  sign: '+' | '-' | '~';
  before: string | null;
  after: string | null;
  replaces: boolean;
  /** A line diff, for a value of several lines. */
  lines: DiffLine[] | null;
}

export interface DiffLine {
  sign: '+' | '-' | ' ' | '…';
  text: string;
}

/** A change as a page shows it: only the values that are visible are sent to the browser. */
export interface ShownChange {
  address: string;
  action: string;
  reason: string;
  movedFrom: string;
  imported: boolean;
  fields: Field[];
  /** How many more fields change. */
  left: number;
}

/** The first changes, each with its changed fields. */
export function shownChanges(changes: Change[]): ShownChange[] {
  return changes.slice(0, MOST_CHANGES).map((change) => {
    const { address, action, reason, movedFrom, imported } = change;
    const { shown, left } = fields(change);
    return { address, action, reason, movedFrom, imported, fields: shown, left };
  });
}

export interface Fields {
  shown: Field[];
  left: number;
}

/** Placeholders for values that are unknown, sensitive or hidden. */
const PLACEHOLDERS = new Set(['(known after apply)', '(sensitive value)', '(hidden)']);
const MOST_CHANGES = 100;
const MOST_FIELDS = 200;
const MAX_DEPTH = 50;
const SHOWN_LINES = 6;
const MAX_LENGTH = 2000;
const CONTEXT = 2;
const MOST_DIFF_LINES = 600;
const MAX_COMPARED = 600;

/** The fields of a resource that change; unknown, sensitive and hidden values are placeholders. */
export function fields(change: Change): Fields {
  const found: Field[] = [];
  compare('', change.before, change.after, new Set(change.replacePaths), found, 0);
  if (found.length === 0) {
    for (const name of change.changed) {
      found.push({ path: name, sign: '~', before: '(hidden)', after: '(hidden)', replaces: false, lines: null });
    }
  }
  return { shown: found.slice(0, MOST_FIELDS), left: Math.max(found.length - MOST_FIELDS, 0) };
}

function compare(
  path: string,
  before: unknown,
  after: unknown,
  replaces: Set<string>,
  found: Field[],
  depth: number
): void {
  if (same(before, after)) return;
  if (depth < MAX_DEPTH && (isGroup(before) || isGroup(after))) {
    const one = isGroup(before) ? before : {};
    const other = isGroup(after) ? after : {};
    const plain = !isGroup(before) && before !== null && before !== undefined;
    const plainAfter = !isGroup(after) && after !== null && after !== undefined;
    const keys = [...new Set([...Object.keys(one), ...Object.keys(other)])];
    if (!plain && !plainAfter && keys.length > 0) {
      for (const key of keys)
        compare(path ? `${path}.${key}` : key, value(one, key), value(other, key), replaces, found, depth + 1);
      return;
    }
  }
  const [old, now] = [shown(before), shown(after)];
  const several =
    old !== null && now !== null && !PLACEHOLDERS.has(old) && !PLACEHOLDERS.has(now) && `${old}${now}`.includes('\n');
  found.push({
    path: path || 'value',
    sign: old === null ? '+' : now === null ? '-' : '~',
    before: old === null ? null : cut(old),
    after: now === null ? null : cut(now),
    replaces: [...replaces].some((item) => item === path || path.startsWith(`${item}.`)),
    lines: several ? diffLines(old, now) : null
  });
}

const isGroup = (item: unknown): item is Record<string, unknown> => typeof item === 'object' && item !== null;
const value = (group: Record<string, unknown>, key: string): unknown =>
  Object.hasOwn(group, key) ? group[key] : undefined;

function same(one: unknown, other: unknown): boolean {
  return (
    (one ?? null) === (other ?? null) ||
    (isGroup(one) && isGroup(other) && JSON.stringify(one) === JSON.stringify(other))
  );
}

function shown(item: unknown): string | null {
  if (item === null || item === undefined) return null;
  return typeof item === 'string' ? plain(item) : json(item);
}

/** A text short enough to read at a glance, with a note of how much was cut. */
function cut(text: string): string {
  const lines = text.split('\n');
  const more = lines.length - (text.endsWith('\n') ? 1 : 0) - SHOWN_LINES;
  const head = more > 1 ? `${lines.slice(0, SHOWN_LINES).join('\n')}\n… (${more} more lines)` : text;
  return head.length <= MAX_LENGTH
    ? head
    : `${head.slice(0, MAX_LENGTH)}… (${head.length - MAX_LENGTH} more characters)`;
}

/** A line diff with a little context: the longest common subsequence between the common head and tail. */
export function diffLines(before: string, after: string): DiffLine[] {
  const [one, other] = [lines(before), lines(after)];
  let head = 0;
  while (head < one.length && head < other.length && one[head] === other[head]) head += 1;
  let tail = 0;
  while (tail < one.length - head && tail < other.length - head && one.at(-1 - tail) === other.at(-1 - tail)) tail += 1;
  const middle = between(one.slice(head, one.length - tail), other.slice(head, other.length - tail));
  const all: DiffLine[] = [
    ...one.slice(0, head).map((text): DiffLine => ({ sign: ' ', text })),
    ...middle,
    ...one.slice(one.length - tail).map((text): DiffLine => ({ sign: ' ', text }))
  ];
  return folded(all);
}

function lines(text: string): string[] {
  const found = text.split('\n');
  if (found.at(-1) === '') found.pop();
  else found.push('(no trailing newline)');
  return found;
}

function between(one: string[], other: string[]): DiffLine[] {
  const removed = one.map((text): DiffLine => ({ sign: '-', text }));
  const added = other.map((text): DiffLine => ({ sign: '+', text }));
  if (one.length * other.length > MAX_COMPARED * MAX_COMPARED || one.length === 0 || other.length === 0)
    return [...removed, ...added];
  const lengths = Array.from({ length: one.length + 1 }, () => new Uint16Array(other.length + 1));
  const at = (row: number, column: number): number => lengths[row]?.[column] ?? 0;
  for (let row = one.length - 1; row >= 0; row -= 1) {
    for (let column = other.length - 1; column >= 0; column -= 1) {
      const best =
        one[row] === other[column] ? at(row + 1, column + 1) + 1 : Math.max(at(row + 1, column), at(row, column + 1));
      (lengths[row] as Uint16Array)[column] = best;
    }
  }
  const found: DiffLine[] = [];
  let [row, column] = [0, 0];
  while (row < one.length || column < other.length) {
    if (row < one.length && column < other.length && one[row] === other[column]) {
      found.push({ sign: ' ', text: one[row] ?? '' });
      [row, column] = [row + 1, column + 1];
    } else if (column >= other.length || (row < one.length && at(row + 1, column) >= at(row, column + 1))) {
      found.push({ sign: '-', text: one[row] ?? '' });
      row += 1;
    } else {
      found.push({ sign: '+', text: other[column] ?? '' });
      column += 1;
    }
  }
  return found;
}

function folded(all: DiffLine[]): DiffLine[] {
  const near = all.map((_, index) =>
    all.slice(Math.max(index - CONTEXT, 0), index + CONTEXT + 1).some((line) => line.sign !== ' ')
  );
  const found: DiffLine[] = [];
  let skipped = 0;
  const flush = () => {
    if (skipped > 0) found.push({ sign: '…', text: skipped === 1 ? '1 unchanged line' : `${skipped} unchanged lines` });
    skipped = 0;
  };
  all.forEach((line, index) => {
    if (near[index]) {
      flush();
      found.push({ ...line, text: cut(line.text) });
    } else skipped += 1;
  });
  flush();
  if (found.length <= MOST_DIFF_LINES) return found;
  return [...found.slice(0, MOST_DIFF_LINES), { sign: '…', text: `${found.length - MOST_DIFF_LINES} more lines` }];
}
