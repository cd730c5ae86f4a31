import { ENVIRONMENT, parseLine, parseOverview, RUN_ID, type Line, type Overview } from '$lib/records';
import { Chain } from './ledgerchain';
import type { LedgerHome } from './ledgerhome';
import { overviewOf, runsOf } from './ledgerrecords';
import { KnownEnvironments, type Environment, type Source } from './source';

interface Known extends Environment {
  chain: Chain;
  token: string;
  runs: Map<string, object>;
}

/**
 * A ledger, verified from its oldest entry to its newest: what is deployed, and each pipeline that deployed as a run.
 * An environment whose ledger cannot be trusted keeps what was known of it before, and is named.
 */
export class LedgerSource extends KnownEnvironments<Known> implements Source {
  readonly behind = false;

  constructor(
    readonly name: string,
    private readonly home: LedgerHome,
    private readonly keys: string[],
    readonly pause: number
  ) {
    super();
  }

  async refresh(): Promise<boolean> {
    const names = (await this.home.environments()).filter((name) => ENVIRONMENT.test(name));
    const problems: string[] = [];
    let changed = false;
    for (const name of names) {
      try {
        changed = (await this.refreshOne(name)) || changed;
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

  private async refreshOne(environment: string): Promise<boolean> {
    const before = this.known.get(environment);
    const version = await this.home.read(environment);
    if (version === null) throw new Error('it is gone');
    if (before?.token === version.token) return false;
    const chain = new Chain(environment, this.keys, before?.chain);
    const head = chain.begin(version.head);
    for (const [number, data] of await this.home.entries(environment, version, chain.last)) chain.add(number, data);
    chain.end();
    const shards = await this.home.shards(environment, version, head.shards);
    const runs = runsOf(environment, chain.entries);
    const lines = [...runs.values()].map(parseLine).filter((line): line is Line => line !== null);
    lines.sort((one, other) => (one.id < other.id ? 1 : -1));
    const overview = parseOverview(overviewOf(head, shards, chain.entries));
    this.known.set(environment, { chain, token: version.token, runs, lines, overview });
    return true;
  }
}
