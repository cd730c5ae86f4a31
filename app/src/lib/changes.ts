import type { Change } from './records';

const MOST_CHANGES = 100;
const ORDER = ['destroy', 'delete', 'replace', 'forget', 'change', 'update', 'add', 'create'];

/** A list of changes as a page shows it. */
export interface ShownChanges {
  changes: Change[];
  /** How many more there are. */
  left: number;
}

/** The first changes, what destroys before all else: only what is visible is sent to the browser. */
export function shownChanges(all: Change[]): ShownChanges {
  const rank = (change: Change): number => (ORDER.indexOf(change.action) + ORDER.length + 1) % (ORDER.length + 1);
  const sorted = [...all].sort((one, other) => rank(one) - rank(other) || (one.address < other.address ? -1 : 1));
  return { changes: sorted.slice(0, MOST_CHANGES), left: Math.max(sorted.length - MOST_CHANGES, 0) };
}
