import { runStatus, type Line, type Pipeline, type Status } from './records';

/** A run as lists show it: no more than they show goes to the browser. */
export interface ListedRun {
  id: string;
  environment: string;
  command: string;
  status: Status;
  verdict: string;
  startedAt: string;
  seconds: number | null;
  commit: string | null;
  branch: string | null;
  dirty: boolean;
  pipeline: Pipeline | null;
  host: string;
  statuses: Record<string, number>;
}

/** The line of a run, for lists. */
export function listed(line: Line): ListedRun {
  return {
    id: line.id,
    environment: line.environment,
    command: line.command,
    status: runStatus(line),
    verdict: line.verdict.split('\n')[0] ?? '',
    startedAt: line.startedAt,
    seconds: line.seconds,
    commit: line.commit,
    branch: line.branch,
    dirty: line.dirty,
    pipeline: line.pipeline,
    host: line.host,
    statuses: line.statuses
  };
}
