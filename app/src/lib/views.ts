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
  return {
    id: line.id,
    environment: line.environment,
    command: line.command,
    status: shownRun(line),
    counts: line.counts.deploy ?? line.counts.plan ?? {},
    verdict: firstLine(line.verdict),
    startedAt: line.startedAt,
    seconds: line.seconds,
    commit: line.commit,
    branch: line.branch,
    dirty: line.dirty,
    pipeline: line.pipeline,
    host: line.host
  };
}

/** A verdict's first line, without the sentence that introduces the next lines. */
function firstLine(verdict: string): string {
  const [first = '', ...rest] = verdict.split('\n');
  return rest.length ? first.replace(/\s[^.]*:$/, '') : first;
}
