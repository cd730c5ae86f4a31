import type { Counts, Line, Pipeline } from './records';
import { shownRun, type Shown } from './state';

/** A run as lists show it: only what is visible is sent to the browser. */
export interface ListedRun {
  id: string;
  environment: string;
  command: string;
  status: Shown;
  /** What it deployed, or would. */
  counts: Counts;
  verdict: string;
  startedAt: string;
  seconds: number | null;
  commit: string | null;
  branch: string | null;
  dirty: boolean;
  pipeline: Pipeline | null;
  host: string;
}

/** The line of a run, for lists. */
export function listed(line: Line): ListedRun {
  const status = shownRun(line);
  return {
    id: line.id,
    environment: line.environment,
    command: line.command,
    status,
    counts: line.counts.deploy ?? line.counts.plan ?? {},
    verdict: beside(status.state, firstLine(line.verdict)),
    startedAt: line.startedAt,
    seconds: line.seconds,
    commit: line.commit,
    branch: line.branch,
    dirty: line.dirty,
    pipeline: line.pipeline,
    host: line.host
  };
}

/** A verdict beside its mark: without the mark's own word, and without the command that once came next. */
export function beside(state: string, verdict: string): string {
  const [, names, note = ''] = (state === 'drifted' && /^(.+) drifted( \(.+\))?\.?$/.exec(verdict)) || [];
  if (names) return names + note;
  const said = verdict.replace(
    /; `[^`]*` (?:applies exactly this(?:, and plans and applies (\d+) deferred)?(?:, and plans \d+ again [a-z ]+)?|plans them for `[^`]*`)$/,
    (_, number) => (number ? `, ${number} deferred` : '')
  );
  return state === 'failed' ? said.replace(/^failed: /, '') : said;
}

/** What a task says besides its mark and its counts, which stand next to it. */
export function besides({ summary, status }: { summary: string; status: string }): string {
  const said = status === 'drifted' ? summary.replace(/^drifted: /, '') : summary;
  return said.replace(/^\+\d+ ~\d+(?: ±\d+)? -\d+(?: \d+ [a-z]+)*(?:[,;] |$)/, '');
}

/** A verdict's first line, without the sentence that introduces the next lines. */
function firstLine(verdict: string): string {
  const [first = '', ...rest] = verdict.split('\n');
  return rest.length ? first.replace(/\s[^.]*:$/, '') : first;
}
