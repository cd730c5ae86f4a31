import { count } from './format';
import { runPath, stackPath } from './paths';
import type { Line, Overview } from './records';
import { runStatus } from './state';

/** Something that a team wants to know in the morning. */
export interface Item {
  at: string;
  environment: string;
  title: string;
  href: string;
  text: string;
  /** Whether it is over by now. */
  over: boolean;
}

export interface Section {
  title: string;
  /** The mark of its items. */
  mark: string;
  items: Item[];
}

export interface Known {
  name: string;
  lines: Line[];
  overview: Overview | null;
}

const DAY = 24 * 3600 * 1000;
/** How long a merge request without a new plan is still listed. */
const REVIEWED = 14 * DAY;
/** How long before its last day a rule is listed. */
const EXPIRES = 14 * DAY;
const BAD = ['failed', 'killed'];

/** What happened since a moment, in the order in which it needs attention; sections without items are left out. */
export function feed(environments: Known[], since: number, clock: number): Section[] {
  const all: Section[] = [
    { title: 'Failed', mark: 'failed', items: environments.flatMap((known) => failures(known, since, clock)) },
    { title: 'Unhealthy', mark: 'failing', items: facts(environments, since, 'checks', 'failing') },
    { title: 'Locked', mark: 'locked', items: facts(environments, since, 'locked', 'locked') },
    { title: 'Newly drifted', mark: 'drifted', items: facts(environments, since, 'drift', 'drifted') },
    { title: 'Drift check failed', mark: 'unchecked', items: facts(environments, since, 'driftCheck', 'failed') },
    { title: 'Undeployed', mark: 'affected', items: facts(environments, since, 'affected', 'affected') },
    { title: 'Stale reviews', mark: 'stale', items: environments.flatMap((known) => stale(known, since, clock)) },
    {
      title: 'Expiring rules',
      mark: 'expiring',
      items: shared(environments.flatMap((known) => expiring(known, clock)))
    },
    { title: 'Deployed', mark: 'deployed', items: environments.flatMap((known) => deploys(known, since)) }
  ];
  for (const section of all) section.items.sort((one, other) => (one.at < other.at ? 1 : -1));
  return all.filter((section) => section.items.length > 0);
}

const after = (moment: string | null, since: number): boolean => Date.parse(moment ?? '') >= since;

/** The runs that failed, except those of merge requests. */
function failures({ name, lines }: Known, since: number, clock: number): Item[] {
  const own = lines.filter((line) => !line.pipeline?.review);
  return own
    .filter((line) => after(line.startedAt, since) && BAD.includes(runStatus(line, clock)))
    .map((line) => ({
      at: line.startedAt,
      environment: name,
      title: line.command,
      href: runPath(name, line.id),
      text: (line.verdict.split('\n')[0] ?? '').trim(),
      over: own.some((later) => later.id > line.id && later.exitCode === 0 && covers(later, line))
    }));
}

/** Whether a run did at least what another one did. */
const covers = (one: Line, other: Line): boolean =>
  other.stages.every((stage) => one.stages.includes(stage)) &&
  other.touched.every((stack) => one.touched.includes(stack) || one.unaffected > 0);

type Key = 'checks' | 'locked' | 'drift' | 'driftCheck' | 'affected';

function facts(environments: Known[], since: number, key: Key, status: string) {
  return environments.flatMap(({ name, overview }) =>
    (overview?.stacks ?? []).flatMap((stack): Item[] => {
      const fact = stack[key];
      if (fact?.status !== status || !after(fact.since, since)) return [];
      const href = stackPath(name, stack.name);
      return [{ at: fact.since, environment: name, title: stack.name, href, text: fact.text, over: false }];
    })
  );
}

/** Reviewed plans that a deploy of the same stacks has made out of date since a moment. */
function stale({ name, lines }: Known, since: number, clock: number): Item[] {
  const latest = new Map<string, Line>();
  for (const line of lines) {
    const review = line.pipeline?.review;
    if (review && !latest.has(review) && clock - Date.parse(line.startedAt) < REVIEWED) latest.set(review, line);
  }
  return [...latest.values()].flatMap((line): Item[] => {
    const newer = lines.filter(
      (other) =>
        other.startedAt > line.startedAt &&
        !other.pipeline?.review &&
        other.stages.includes('deploy') &&
        other.touched.some((stack) => line.touched.includes(stack))
    );
    // Deployed by the same branch's commit: it was merged, not overtaken.
    const overtaken = newer.at(-1)?.startedAt ?? null; // the latest comes first
    if (!after(overtaken, since) || newer.some((other) => other.commit === line.commit)) return [];
    const title = `${line.pipeline?.forge === 'github' ? '#' : '!'}${line.pipeline?.review}`;
    const text = `overtaken by ${count(newer.length, 'deploy')} of its stacks: plan it again`;
    return [{ at: overtaken ?? '', environment: name, title, href: runPath(name, line.id), text, over: false }];
  });
}

function expiring({ name, overview }: Known, clock: number): Item[] {
  return (overview?.rules ?? [])
    .filter((rule) => rule.until && Date.parse(rule.until) + DAY - clock < EXPIRES)
    .map((rule) => {
      const over = Date.parse(rule.until) + DAY < clock;
      const text = `${rule.kind} ${over ? 'expired on' : 'expires after'} ${rule.until}: ${rule.reason}`;
      return { at: rule.until, environment: name, title: rule.name, href: '', text, over };
    });
}

/** Items of several environments that say the same, as one. */
function shared(items: Item[]): Item[] {
  const found = new Map<string, Item>();
  for (const item of items) {
    const key = JSON.stringify([item.title, item.text]);
    const same = found.get(key);
    found.set(key, same ? { ...same, environment: `${same.environment}, ${item.environment}` } : item);
  }
  return [...found.values()];
}

function deploys({ name, lines }: Known, since: number): Item[] {
  return lines
    .filter((line) => line.stages.includes('deploy') && line.exitCode === 0 && line.touched.length > 0)
    .filter((line) => !line.pipeline?.review && after(line.startedAt, since))
    .map((line) => ({
      at: line.startedAt,
      environment: name,
      title: line.touched.length > 3 ? count(line.touched.length, 'stack') : line.touched.join(', '),
      href: runPath(name, line.id),
      text: line.pipeline?.actor ? `by ${line.pipeline.actor}` : '',
      over: false
    }));
}
