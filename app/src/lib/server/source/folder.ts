import { open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ENVIRONMENT, parseLine, parseOverview, RUN_ID, type Line, type Overview } from '$lib/records';
import { parsed, type Source } from './source';

const TOGETHER = 32;

interface Known {
  lines: Map<string, Line>;
  sorted: Line[];
  stamps: Map<string, string>;
  overview: Overview | null;
  overviewStamp: string;
}

/**
 * A folder such as `.deploy`, or one that was published to. A record that has its end never changes, so it is read once;
 * what is looked at again is the list of names and the runs that go on.
 */
export class FolderSource implements Source {
  readonly pause = 1000;
  private known = new Map<string, Known>();

  constructor(readonly name: string) {}

  async refresh(): Promise<boolean> {
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

  environments(): string[] {
    return [...this.known.keys()].sort();
  }

  lines(environment: string): Line[] {
    return this.known.get(environment)?.sorted ?? [];
  }

  overview(environment: string): Overview | null {
    return this.known.get(environment)?.overview ?? null;
  }

  async read(environment: string, run: string, kind: 'json' | 'jsonl'): Promise<string | null> {
    if (!this.known.has(environment) || !RUN_ID.test(run)) return null;
    return await content(join(this.name, environment, 'runs', `${run}.${kind}`));
  }

  private async refreshOne(environment: string): Promise<boolean> {
    const folder = join(this.name, environment);
    const found = await names(join(folder, 'runs'));
    const overviewStamp = await stamp(join(folder, 'overview.json'));
    if (found === null && overviewStamp === '') return false; // no environment: a cache, a folder of something else
    let known = this.known.get(environment);
    let changed = known === undefined;
    known ??= { lines: new Map(), sorted: [], stamps: new Map(), overview: null, overviewStamp: '' };
    if (overviewStamp !== known.overviewStamp) {
      known.overview = parseOverview(parsed(await content(join(folder, 'overview.json'))));
      known.overviewStamp = overviewStamp;
      changed = true;
    }
    const ids = new Set((found ?? []).filter((name) => name.endsWith('.json')).map((name) => name.slice(0, -5)));
    for (const id of known.lines.keys()) {
      if (!ids.has(id)) changed = known.lines.delete(id) || changed;
    }
    const unended = [...ids].filter((id) => RUN_ID.test(id) && !known.lines.get(id)?.endedAt);
    for (let start = 0; start < unended.length; start += TOGETHER) {
      const read = unended.slice(start, start + TOGETHER).map((id) => this.load(known, environment, id));
      if ((await Promise.all(read)).includes(true)) changed = true;
    }
    if (changed) known.sorted = [...known.lines.values()].sort((one, other) => (one.id < other.id ? 1 : -1));
    this.known.set(environment, known);
    return changed;
  }

  private async load(known: Known, environment: string, id: string): Promise<boolean> {
    const path = join(this.name, environment, 'runs', `${id}.json`);
    const now = known.stamps.has(id) ? await stamp(path) : 'new';
    if (known.stamps.get(id) === now) return false;
    const line = parseLine(parsed(await content(path)));
    known.stamps.set(id, now === 'new' ? await stamp(path) : now);
    if (!line || line.id !== id || line.environment !== environment) return false;
    if (line.endedAt) known.stamps.delete(id);
    known.lines.set(id, line);
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

const LARGEST = 64 * 1024 * 1024;

async function content(path: string): Promise<string | null> {
  try {
    const handle = await open(path);
    try {
      return (await handle.stat()).size > LARGEST ? null : await handle.readFile('utf8');
    } finally {
      await handle.close();
    }
  } catch {
    return null;
  }
}
