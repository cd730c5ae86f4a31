import type { StackEntry } from './records';

/** The states that a mark can show; each has a shape and a word of its own, colour comes last. */
export const MARKS: Record<string, { shape: string; word: string; tone: string }> = {
  ok: { shape: '●', word: 'ok', tone: 'good' },
  deployed: { shape: '●', word: 'deployed', tone: 'good' },
  passed: { shape: '●', word: 'passed', tone: 'good' },
  failed: { shape: '✕', word: 'failed', tone: 'bad' },
  failing: { shape: '✕', word: 'checks fail', tone: 'bad' },
  broken: { shape: '✕', word: 'apply failed', tone: 'bad' },
  drifted: { shape: '▲', word: 'drifted', tone: 'warn' },
  undeployed: { shape: '◇', word: 'not deployed', tone: 'info' },
  affected: { shape: '◆', word: 'affected', tone: 'info' },
  locked: { shape: '■', word: 'locked', tone: 'warn' },
  deferred: { shape: '◇', word: 'deferred', tone: 'info' },
  not_run: { shape: '–', word: 'not run', tone: 'mute' },
  unaffected: { shape: '○', word: 'not affected', tone: 'mute' },
  none: { shape: '○', word: 'never deployed', tone: 'mute' },
  running: { shape: '◐', word: 'running', tone: 'live' },
  killed: { shape: '✕', word: 'killed', tone: 'bad' },
  stopped: { shape: '■', word: 'stopped', tone: 'warn' }
};

/** What is to be said of a stack, the worst first; a stack that is well has one mark. */
export function marks(stack: StackEntry): string[] {
  const found: string[] = [];
  if (stack.apply?.status === 'failed' || stack.apply?.status === 'started') found.push('broken');
  if (stack.checks?.status === 'failing') found.push('failing');
  if (stack.locked?.status === 'locked') found.push('locked');
  if (stack.drift?.status === 'drifted') found.push('drifted');
  if (stack.affected?.status === 'affected') found.push('affected');
  if (found.length === 0) found.push(stack.deployed ? 'deployed' : 'none');
  return found;
}

const ORDER = ['broken', 'failing', 'locked', 'drifted', 'affected', 'none', 'deployed'];

/** How urgent a stack is: the smaller, the sooner it is looked at. */
export function urgency(stack: StackEntry): number {
  return Math.min(...marks(stack).map((mark) => ORDER.indexOf(mark)));
}

/** Whether somebody has to do something about a stack. */
export const wantsAttention = (stack: StackEntry): boolean => urgency(stack) < ORDER.indexOf('none');

/** How many stacks have each mark. */
export function tally(stacks: StackEntry[]): Record<string, number> {
  const found: Record<string, number> = {};
  for (const stack of stacks) for (const mark of marks(stack)) found[mark] = (found[mark] ?? 0) + 1;
  return found;
}
