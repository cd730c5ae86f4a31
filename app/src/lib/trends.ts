import { median } from 'd3-array';
import { utcMonday } from 'd3-time';
import type { Line, Overview } from './records';

/** A week of an environment; a value is null where nothing says it. */
export interface Week {
  /** Its Monday, `2026-11-23`. */
  begin: string;
  deploys: number;
  failed: number;
  /** Median seconds of a deploy and of a plan. */
  deploySeconds: number | null;
  planSeconds: number | null;
  /** Stacks that the last drift check of the week found drifted. */
  drifted: number | null;
}

export interface Trends {
  weeks: Week[];
  /** Successful deploys a week. */
  frequency: number;
  /** Median seconds from a commit to the end of its deploy. */
  leadTime: number | null;
  /** The share of deploys that failed, 0 to 1. */
  failureRate: number | null;
  /** Median seconds from a failed deploy to the next successful one. */
  restore: number | null;
  /** Median and longest seconds for which stacks are drifted now. */
  driftAge: number | null;
  oldestDrift: number | null;
}

/** The weeks that are looked at. */
export const WEEKS = 13;

/** The trends of an environment up to a moment; runs of merge requests say nothing about deploys. */
export function trends(lines: Line[], overview: Overview | null, clock: number): Trends {
  const last = utcMonday.floor(new Date(clock));
  const mondays = utcMonday.range(utcMonday.offset(last, 1 - WEEKS), utcMonday.offset(last, 1));
  const [first = last] = mondays;
  const recent = lines.filter((line) => Date.parse(line.startedAt) >= first.getTime() && line.endedAt !== null);
  const own = recent.filter((line) => !line.pipeline?.review && line.touched.length > 0);
  const deploys = own.filter((line) => line.stages.includes('deploy'));
  const good = deploys.filter((line) => line.exitCode === 0);
  const ages = (overview?.stacks ?? [])
    .filter((stack) => stack.drift?.status === 'drifted')
    .map((stack) => (clock - Date.parse(stack.drift?.since ?? '')) / 1000)
    .filter(Number.isFinite);
  return {
    weeks: mondays.map((monday) => week(monday, recent, own)),
    frequency: good.length / WEEKS,
    leadTime: median(good.flatMap((line) => between(line.committedAt, line.endedAt))) ?? null,
    failureRate: deploys.length ? (deploys.length - good.length) / deploys.length : null,
    restore: median(restored(deploys)) ?? null,
    driftAge: median(ages) ?? null,
    oldestDrift: ages.length ? Math.max(...ages) : null
  };
}

function week(monday: Date, recent: Line[], own: Line[]): Week {
  const within = (line: Line): boolean => utcMonday.floor(new Date(line.startedAt)).getTime() === monday.getTime();
  const deploys = own.filter((line) => within(line) && line.stages.includes('deploy'));
  const plans = recent.filter(
    (line) => within(line) && line.stages.includes('plan') && !line.stages.includes('deploy')
  );
  const check = recent.find((line) => within(line) && line.stages.includes('drift')); // the latest comes first
  const seconds = (found: Line[]): number | null => median(found.flatMap((line) => line.seconds ?? [])) ?? null;
  return {
    begin: monday.toISOString().slice(0, 10),
    deploys: deploys.filter((line) => line.exitCode === 0).length,
    failed: deploys.filter((line) => line.exitCode !== 0).length,
    deploySeconds: seconds(deploys),
    planSeconds: seconds(plans),
    drifted: check ? (check.statuses.drifted ?? 0) : null
  };
}

/** Seconds from each failed deploy that begins a failure to the next successful one. */
function restored(deploys: Line[]): number[] {
  const found: number[] = [];
  let since: string | null = null;
  for (const line of [...deploys].reverse()) {
    if (line.exitCode !== 0) since ??= line.endedAt;
    else if (since !== null) {
      found.push(...between(since, line.endedAt));
      since = null;
    }
  }
  return found;
}

function between(begin: string | null, end: string | null): number[] {
  const seconds = (Date.parse(end ?? '') - Date.parse(begin ?? '')) / 1000;
  return Number.isFinite(seconds) && seconds >= 0 ? [seconds] : [];
}
