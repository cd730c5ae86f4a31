import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { open, readdir, stat } from 'node:fs/promises';
import { setImmediate } from 'node:timers/promises';
import { join } from 'node:path';
import { parsed } from '$lib/json';
import { ENVIRONMENT, parseLine, parseOverview, RUN_ID, type Line, type Overview } from '$lib/records';
import { KnownEnvironments, type Environment, type Source } from './source';

const BATCH = 32; // records between two checks of the time
const PAUSE = 1000; // milliseconds
const BUDGET = 250; // milliseconds

interface Known extends Environment {
  byId: Map<string, Line>;
  stamps: Map<string, string>;
  overviewStamp: string;
}

/**
 * A folder such as `.deploy`, or one that was published to. The record of a run that has ended never changes, so it is
 * read once; only the list of names and the unfinished runs are read again.
 */
export class FolderSource extends KnownEnvironments<Known> implements Source {
  readonly isLedger = false;
  private deadline = 0;
  /** Whether records remain to be read: the latest are read first, so that no request waits for all of them. */
  behind = false;

  constructor(readonly name: string) {
    super();
  }

  get pause(): number {
    return this.behind ? 0 : PAUSE;
  }

  async refresh(): Promise<boolean> {
    this.deadline = Date.now() + BUDGET;
    this.behind = false;
    const entries = await readdir(this.name, { withFileTypes: true });
    const names = entries
      .filter((entry) => entry.isDirectory() && ENVIRONMENT.test(entry.name))
      .map((entry) => entry.name);
    let changed = false;
    for (const name of names.sort()) changed = (await this.refreshOne(name)) || changed;
    for (const name of this.known.keys()) {
      if (!names.includes(name)) changed = this.known.delete(name) || changed;
    }
    return changed;
  }

  async read(environment: string, run: string, kind: 'json' | 'jsonl'): Promise<string | null> {
    if (!this.known.has(environment) || !RUN_ID.test(run)) return null;
    return await content(join(this.name, environment, 'runs', `${run}.${kind}`));
  }

  private async refreshOne(environment: string): Promise<boolean> {
    const folder = join(this.name, environment);
    const found = await names(join(folder, 'runs'));
    const overviewStamp = await stamp(join(folder, 'overview.json'));
    if (found === null && overviewStamp === '') return false; // not an environment but a cache or an unrelated folder
    let known = this.known.get(environment);
    let changed = known === undefined;
    known ??= { byId: new Map(), lines: [], stamps: new Map(), overview: null, overviewStamp: '' };
    if (overviewStamp !== known.overviewStamp) {
      known.overview = parseOverview(parsed(await content(join(folder, 'overview.json'))));
      known.overviewStamp = overviewStamp;
      changed = true;
    }
    const ids = new Set((found ?? []).filter((name) => name.endsWith('.json')).map((name) => name.slice(0, -5)));
    for (const id of known.byId.keys()) {
      if (!ids.has(id)) changed = known.byId.delete(id) || changed;
    }
    for (const id of known.stamps.keys()) if (!ids.has(id)) known.stamps.delete(id);
    const unfinished = [...ids]
      .filter((id) => RUN_ID.test(id) && !known.byId.get(id)?.endedAt)
      .sort()
      .reverse();
    for (const [index, id] of unfinished.entries()) {
      if (index % BATCH === BATCH - 1) {
        await setImmediate(); // requests in the meantime get what is known
        if (Date.now() > this.deadline) {
          this.behind = true;
          break;
        }
      }
      changed = this.load(known, environment, id) || changed;
    }
    if (changed) known.lines = [...known.byId.values()].sort((one, other) => (one.id < other.id ? 1 : -1));
    this.known.set(environment, known);
    return changed;
  }

  private load(known: Known, environment: string, id: string): boolean {
    const [text, stamp] = contentSync(join(this.name, environment, 'runs', `${id}.json`), known.stamps.get(id));
    if (text === null) return false;
    const line = parseLine(parsed(text));
    known.stamps.set(id, stamp);
    if (!line || line.id !== id || line.environment !== environment) return false;
    if (line.endedAt) known.stamps.delete(id);
    known.byId.set(id, line);
    return true;
  }
}

async function names(folder: string): Promise<string[] | null> {
  try {
    return await readdir(folder);
  } catch {
    return null;
  }
}

async function stamp(path: string): Promise<string> {
  try {
    const found = await stat(path, { bigint: true });
    return `${found.mtimeNs}-${found.size}-${found.ino}`;
  } catch {
    return '';
  }
}

const MAX_SIZE = 64 * 1024 * 1024;

/** A file's text and stamp, null as text when the stamp is unchanged. Synchronous, which is faster for small files. */
function contentSync(path: string, before: string | undefined): [string | null, string] {
  try {
    const file = openSync(path, 'r');
    try {
      const found = fstatSync(file, { bigint: true });
      const now = `${found.mtimeNs}-${found.size}-${found.ino}`;
      return now === before || found.size > MAX_SIZE ? [null, now] : [readFileSync(file, 'utf8'), now];
    } finally {
      closeSync(file);
    }
  } catch {
    return [null, ''];
  }
}

async function content(path: string): Promise<string | null> {
  try {
    const handle = await open(path);
    try {
      return (await handle.stat()).size > MAX_SIZE ? null : await handle.readFile('utf8');
    } finally {
      await handle.close();
    }
  } catch {
    return null;
  }
}
