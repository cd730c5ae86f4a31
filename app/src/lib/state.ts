import { destroyed } from './format';
import type { Counts, Line, StackEntry, Status, Task } from './records';

/** The states that a mark can show. Each has its own shape and word, so that none relies on colour. */
export const MARKS: Record<string, { shape: string; word: string; tone: string }> = {
  ok: { shape: '●', word: 'ok', tone: 'good' },
  deployed: { shape: '●', word: 'deployed', tone: 'good' },
  passed: { shape: '●', word: 'passed', tone: 'good' },
  destroys: { shape: '−', word: 'to destroy', tone: 'bad' },
  destroyed: { shape: '−', word: 'destroyed', tone: 'warn' },
  failed: { shape: '✕', word: 'failed', tone: 'bad' },
  failing: { shape: '✕', word: 'unhealthy', tone: 'bad' },
  broken: { shape: '✕', word: 'apply failed', tone: 'bad' },
  halted: { shape: '■', word: 'apply stopped', tone: 'warn' },
  drifted: { shape: '▲', word: 'drifted', tone: 'warn' },
  unchecked: { shape: '▲', word: 'drift check failed', tone: 'warn' },
  unverified: { shape: '◇', word: 'unverified', tone: 'info' },
  undeployed: { shape: '◇', word: 'undeployed', tone: 'info' },
  affected: { shape: '◆', word: 'affected', tone: 'info' },
  locked: { shape: '■', word: 'locked', tone: 'warn' },
  deferred: { shape: '◇', word: 'deferred', tone: 'info' },
  not_run: { shape: '–', word: 'not run', tone: 'mute' },
  skipped: { shape: '–', word: 'skipped', tone: 'mute' },
  adopted: { shape: '◆', word: 'adopted', tone: 'info' },
  unaffected: { shape: '○', word: 'unaffected', tone: 'mute' },
  none: { shape: '○', word: 'never deployed', tone: 'mute' },
  running: { shape: '◐', word: 'running', tone: 'live' },
  critical: { shape: '!', word: 'critical', tone: 'bad' },
  stale: { shape: '◷', word: 'stale review', tone: 'info' },
  expiring: { shape: '◷', word: 'expiring', tone: 'info' },
  killed: { shape: '✕', word: 'killed', tone: 'bad' },
  stopped: { shape: '■', word: 'stopped', tone: 'warn' }
};

/** The marks of a stack, worst first; a healthy stack has exactly one. */
export function marks(stack: StackEntry): string[] {
  const found: string[] = [];
  if (stack.apply?.status === 'failed' || stack.apply?.status === 'started') found.push('broken');
  if (stack.apply?.status === 'stopped') found.push('halted');
  if (stack.checks?.status === 'failing') found.push('failing');
  if (stack.locked?.status === 'locked') found.push('locked');
  if (stack.drift?.status === 'drifted') found.push('drifted');
  if (stack.driftCheck?.status === 'failed') found.push('unchecked');
  if (stack.affected?.status === 'affected') found.push('affected');
  if (stack.checks?.status === 'pending') found.push('unverified');
  if (found.length === 0) found.push(stack.deployed ? 'deployed' : 'none');
  return found;
}

/** The marks of stacks, most urgent first. */
export const BY_URGENCY = [
  'broken',
  'halted',
  'failing',
  'locked',
  'drifted',
  'unchecked',
  'affected',
  'unverified',
  'none',
  'deployed'
];
/** The marks that need action. */
export const URGENT = BY_URGENCY.slice(0, BY_URGENCY.indexOf('none'));

/** How urgent a stack is; the smallest number is the most urgent. */
export function urgency(stack: StackEntry): number {
  return Math.min(...marks(stack).map((mark) => BY_URGENCY.indexOf(mark)));
}

/** Whether a stack needs action. */
export const needsAttention = (stack: StackEntry): boolean => marks(stack).some((mark) => URGENT.includes(mark));

/** How many stacks have each mark. */
export function tally(stacks: StackEntry[]): Record<string, number> {
  const found: Record<string, number> = {};
  for (const stack of stacks) for (const mark of marks(stack)) found[mark] = (found[mark] ?? 0) + 1;
  return found;
}

/** Seconds without a write after which a run that has not ended counts as killed. */
const SILENCE = 60;

/** The status that a run is shown with. */
export function runStatus(line: Line, clock = Date.now()): Status {
  if (line.endedAt === null) return clock - Date.parse(line.writtenAt) > SILENCE * 1000 ? 'killed' : 'running';
  if (line.stopped) return 'stopped';
  if (line.exitCode === 0) return 'ok';
  if (line.exitCode !== 2) return 'failed';
  return line.statuses.undeployed && !line.statuses.drifted ? 'undeployed' : 'drifted';
}

export interface Shown {
  state: string;
  number: number;
}

/** How a task or run is shown: one that destroys something is never just ok. */
export function shown(status: Status, planned: Counts | undefined, applied: Counts | undefined): Shown {
  if (status !== 'ok') return { state: status, number: 0 };
  if (destroyed(applied)) return { state: 'destroyed', number: destroyed(applied) };
  if (destroyed(planned)) return { state: 'destroys', number: destroyed(planned) };
  return { state: status, number: 0 };
}

/** How a task is shown. */
export const shownTask = ({ status, stage, counts }: Pick<Task, 'status' | 'stage' | 'counts'>): Shown =>
  shown(status, stage === 'plan' ? counts : undefined, stage === 'deploy' ? counts : undefined);

/** How a run is shown. */
export const shownRun = (line: Line): Shown => shown(runStatus(line), line.counts.plan, line.counts.deploy);

/** The runs that are still running. */
export const running = (lines: Line[]): Line[] =>
  lines.filter((line) => line.endedAt === null && runStatus(line) === 'running');
