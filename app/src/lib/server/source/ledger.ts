import { ENVIRONMENT, parseLine, parseOverview, RUN_ID, type Line, type Overview } from '$lib/records';
import { Chain, type Head } from './ledgerchain';
import type { LedgerHome } from './ledgerhome';
import { driftOf, observationsOf, type Observations } from './ledgerobservations';
import { overviewOf, runsOf, type Receipts } from './ledgerrecords';
import { KnownEnvironments, type Environment, type Source } from './source';

interface Known extends Environment {
  chain: Chain;
  token: string;
  head: Head;
  shards: Receipts;
  observed: Observed;
  runs: Map<string, object>;
}

/** What was read of the observations last: empty without any. */
interface Observed {
  token: string;
  found: Observations;
}

const NOTHING: Observed = { token: '', found: { writes: 0, stacks: {} } };

/**
 * A ledger, verified from its oldest entry to its newest: what is deployed, and each pipeline that deployed as a run;
 * and the observations beside it: what has drifted. An environment whose ledger or observations cannot be trusted keeps
 * what was known of it before, and is named.
 */
export class LedgerSource extends KnownEnvironments<Known> implements Source {
  readonly isLedger = true;
  readonly behind = false;

  constructor(
    readonly name: string,
    private readonly home: LedgerHome,
    private readonly keys: string[],
    private readonly observationKeys: string[],
    readonly pause: number
  ) {
    super();
  }

  async refresh(): Promise<boolean> {
    const names = (await this.home.environments()).filter((name) => ENVIRONMENT.test(name));
    if (names.length === 0 && this.known.size === 0) throw new Error(this.home.missing);
    const problems: string[] = [];
    let changed = false;
    for (const name of names) {
      try {
        changed = (await this.refreshOne(name, problems)) || changed;
      } catch (error) {
        problems.push(`the ledger of ${name} cannot be trusted: ${error instanceof Error ? error.message : error}`);
      }
    }
    for (const name of this.known.keys()) {
      if (!names.includes(name)) problems.push(`the ledger of ${name} is gone`);
    }
    if (problems.length > 0) throw new Error(problems.join('; '));
    return changed;
  }

  async read(environment: string, run: string, kind: 'json' | 'jsonl'): Promise<string | null> {
    const found = RUN_ID.test(run) ? this.known.get(environment)?.runs.get(run) : undefined;
    return found && kind === 'json' ? JSON.stringify(found) : null;
  }

  private async refreshOne(environment: string, problems: string[]): Promise<boolean> {
    const before = this.known.get(environment);
    const version = await this.home.read(environment);
    if (version === null) throw new Error('it is gone');
    const observed = await this.observed(environment, before?.observed ?? NOTHING, problems);
    if (before?.token === version.token) {
      if (observed === before.observed) return false;
      this.know(environment, { ...before, observed });
      return true;
    }
    const chain = new Chain(environment, this.keys, before?.chain);
    const head = chain.begin(version.head);
    for (const [number, data] of await this.home.entries(environment, version, chain.last)) chain.add(number, data);
    chain.end();
    const shards = await this.home.shards(environment, version, head.shards);
    const runs = runsOf(environment, chain.entries);
    const lines = [...runs.values()].map(parseLine).filter((line): line is Line => line !== null);
    lines.sort((one, other) => (one.id < other.id ? 1 : -1));
    this.know(environment, { chain, token: version.token, head, shards, observed, runs, lines, overview: null });
    return true;
  }

  private know(environment: string, known: Known): void {
    const drift = driftOf(known.observed.found, known.shards);
    const overview = parseOverview(overviewOf(known.head, known.shards, known.chain.entries, drift));
    this.known.set(environment, { ...known, overview });
  }

  /** The newest observations; those before, if these cannot be trusted. Without any, nothing is known of drift. */
  private async observed(environment: string, before: Observed, problems: string[]): Promise<Observed> {
    try {
      const version = await this.home.observations(environment);
      if (version === null) return before === NOTHING ? before : NOTHING;
      if (version.token === before.token) return before;
      const found = observationsOf(environment, version.head, this.observationKeys, before.found.writes);
      return { token: version.token, found };
    } catch (error) {
      const what = error instanceof Error ? error.message : error;
      problems.push(`the observations of ${environment} cannot be trusted: ${what}; newer drift is not shown`);
      return before;
    }
  }
}
