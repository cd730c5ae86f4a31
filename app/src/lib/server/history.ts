import { building } from '$app/environment';
import { parsed } from '$lib/json';
import { parseDetails, parseRun, type Details, type Line, type RunRecord } from '$lib/records';
import { running } from '$lib/state';
import { configured, type Source } from './source';

const KEPT = 200;
const BORN = Date.now().toString(36);

/** The records as they are now: refreshed when somebody asks, and not more often than the source wants. */
export class History {
  private looked = 0;
  private looking: Promise<void> | null = null;
  private records = new Map<string, RunRecord>();
  private listeners = new Set<() => void>();
  private timer: NodeJS.Timeout | null = null;
  private changes = 0;
  private going = '';
  /** Why the source could not be read the last time; null when it could. */
  problem: string | null = null;

  constructor(readonly source: Source) {}

  /** Names what is known now: another text after every change, and never the one of another process. */
  get state(): string {
    return `${BORN}-${this.changes}`;
  }

  /** Bring it up to date; those who ask at once wait for one look. */
  async fresh(): Promise<void> {
    if (this.looked > 0 && (this.source.behind || Date.now() - this.looked < this.source.pause)) return;
    await this.look();
  }

  /** Call back after every change, until the function that this gives is called. */
  watch(listener: () => void): () => void {
    this.listeners.add(listener);
    this.timer ??= setInterval(() => void this.fresh(), this.source.pause);
    return () => {
      this.listeners.delete(listener);
      if (this.listeners.size === 0 && this.timer) {
        clearInterval(this.timer);
        this.timer = null;
      }
    };
  }

  /** A run with its tasks; null when there is none. */
  async run(environment: string, id: string): Promise<RunRecord | null> {
    const key = `${environment}/${id}`;
    const kept = this.records.get(key);
    if (kept) return kept;
    const record = parseRun(parsed(await this.source.read(environment, id, 'json')));
    if (!record || record.id !== id || record.environment !== environment) return null;
    if (record.endedAt) this.keep(key, record);
    return record;
  }

  /** Some runs with their tasks, in the given order; those that are gone are left out. */
  async runs(environment: string, lines: Line[]): Promise<RunRecord[]> {
    const found = await Promise.all(lines.map((line) => this.run(environment, line.id)));
    return found.filter((record): record is RunRecord => record !== null);
  }

  /** What a run kept of its tasks: all of them, or those that are asked for. */
  async details(environment: string, id: string, wanted?: (task: string) => boolean): Promise<Details[]> {
    const text = await this.source.read(environment, id, 'jsonl');
    if (text === null) return [];
    const lines = text.split('\n').filter((line) => line !== '' && (!wanted || wanted(nameIn(line))));
    return lines.map(parseDetails).filter((item): item is Details => item !== null);
  }

  private look(): Promise<void> {
    this.looking ??= this.lookOnce();
    return this.looking;
  }

  private async lookOnce(): Promise<void> {
    try {
      const changed = await this.source.refresh();
      const before = this.problem;
      this.problem = null;
      if (this.goOn() || changed || before !== null) this.changed();
    } catch (error) {
      const problem = describe(error);
      const before = this.problem;
      this.problem = problem;
      if (problem !== before) {
        console.error(`cannot read ${this.source.name}: ${problem}`);
        this.changed();
      }
    } finally {
      this.looked = Date.now();
      this.looking = null;
      if (this.source.behind && this.problem === null) setImmediate(() => void this.look());
    }
  }

  /** Whether other runs go on than at the last look: one that was killed changes no file. */
  private goOn(): boolean {
    const lines = this.source.environments().flatMap((name) => running(this.source.lines(name)));
    const before = this.going;
    this.going = lines.map((line) => `${line.environment}/${line.id}`).join(' ');
    return this.going !== before;
  }

  private changed(): void {
    this.changes += 1;
    for (const listener of this.listeners) listener();
  }

  private keep(key: string, record: RunRecord): void {
    this.records.set(key, record);
    const oldest = this.records.keys().next().value;
    if (this.records.size > KEPT && oldest !== undefined) this.records.delete(oldest);
  }
}

/** The task's name in a line, without parsing all of the line: it comes first. */
function nameIn(line: string): string {
  return /^\{"task":"([^"]*)"/.exec(line)?.[1] ?? '';
}

function describe(error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === 'ENOENT') return 'there is no such folder';
  if (code === 'EACCES') return 'it may not be read';
  return error instanceof Error ? error.message : String(error);
}

let instance: History | null = null;

/** The history that this server shows. */
export function history(): History {
  instance ??= new History(configured());
  return instance;
}

if (!building) void history().fresh(); // so that the first visitor does not wait for the first look
