import type { Line, StackEntry } from '$lib/records';
import type { History } from './history';
import type { Source } from './source';

const MOST_READ = 40; // records of each environment that are searched for resources
const BUDGET = 300; // milliseconds
const MOST_FOUND = 50;

export interface FoundStack {
  environment: string;
  stack: StackEntry;
}

/** The stacks whose name, folder or owner contains a text. */
export function stacksFor(source: Source, environments: string[], query: string): FoundStack[] {
  const wanted = query.toLowerCase();
  return environments.flatMap((environment) =>
    (source.overview(environment)?.stacks ?? [])
      .filter((stack) => [stack.name, stack.path, ...stack.owners].some((text) => text.toLowerCase().includes(wanted)))
      .map((stack) => ({ environment, stack }))
  );
}

/** The runs of a commit, branch, person, pipeline or merge request (`!12`, `#12`), latest first. */
export function runsFor(source: Source, environments: string[], query: string): Line[] {
  const found = environments.flatMap((environment) =>
    source.lines(environment).filter((line) => isMeant(line, query.toLowerCase()))
  );
  return found.sort((one, other) => (one.id < other.id ? 1 : -1));
}

function isMeant(line: Line, query: string): boolean {
  const review = line.pipeline?.review;
  if (/^[!#]\d+$/.test(query)) return review === query.slice(1);
  const whole = [line.id, line.pipeline?.id, review].some((text) => text?.toLowerCase() === query);
  const begun = query.length >= 4 && line.commit?.startsWith(query);
  const within = [line.branch, line.pipeline?.actor].some((text) => text?.toLowerCase().includes(query));
  return whole || Boolean(begun) || within;
}

export interface FoundResource {
  environment: string;
  stack: string;
  address: string;
  run: string;
  at: string;
}

/** The resources of recent runs whose address contains a text, and in how many runs was looked. */
export async function addressesIn(
  history: History,
  environments: string[],
  query: string
): Promise<{ found: FoundResource[]; searched: number }> {
  const end = Date.now() + BUDGET;
  const found = new Map<string, FoundResource>();
  let searched = 0;
  for (const environment of environments) {
    for (const line of history.source.lines(environment).slice(0, MOST_READ)) {
      if (Date.now() > end || found.size >= MOST_FOUND) return { found: [...found.values()], searched };
      searched += 1;
      for (const { stack, resources } of await history.details(environment, line.id)) {
        for (const { address } of resources) {
          const key = `${environment} ${stack} ${address}`;
          if (address.toLowerCase().includes(query.toLowerCase()) && !found.has(key))
            found.set(key, { environment, stack, address, run: line.id, at: line.startedAt });
        }
      }
    }
  }
  return { found: [...found.values()], searched };
}
