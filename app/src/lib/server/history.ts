import { parsed } from '$lib/json';
import { parseDetails, parseRun, type Details, type Line, type RunRecord } from '$lib/records';
import { running } from '$lib/state';
import { configured, type Source } from './source';

const CACHED = 200;
const PROCESS = Date.now().toString(36);

/** The current records: refreshed on request, at most as often as the source allows. */
export class History {
  private refreshedAt = 0;
  private refreshing: Promise<void> | null = null;
  private records = new Map<string, RunRecord>();
  private listeners = new Set<() => void>();
  private timer: NodeJS.Timeout | null = null;
  private changes = 0;
  private running = '';
  /** Why the source could not be read last time; null when it could. */
  problem: string | null = null;

  constructor(readonly source: Source) {}

  /** Identifies the current data: changes with every change, and differs between processes. */
  get state(): string {
    return `${PROCESS}-${this.changes}`;
  }

  /** Bring the records up to date; concurrent calls share one read of the source. */
  async refresh(): Promise<void> {
    if (this.refreshedAt > 0 && (this.source.behind || Date.now() - this.refreshedAt < this.source.pause)) return;
    await this.read();
  }

  /** Call back after every change; returns a function that stops it. */
  watch(listener: () => void): () => void {
    this.listeners.add(listener);
    this.timer ??= setInterval(() => void this.refresh(), this.source.pause);
    return () => {
      this.listeners.delete(listener);
      if (this.listeners.size === 0 && this.timer) {
        clearInterval(this.timer);
        this.timer = null;
      }
    };
  }

  /** A run with its tasks; null when there is no record. */
  async run(environment: string, id: string): Promise<RunRecord | null> {
    const key = `${environment}/${id}`;
    const kept = this.records.get(key);
    if (kept) return kept;
    const record = parseRun(parsed(await this.source.read(environment, id, 'json')));
    if (!record || record.id !== id || record.environment !== environment) return null;
    if (record.endedAt) this.cache(key, record);
    return record;
  }

  /** Runs with their tasks, in the given order; those without a record are left out. */
  async runs(environment: string, lines: Line[]): Promise<RunRecord[]> {
    const found = await Promise.all(lines.map((line) => this.run(environment, line.id)));
    return found.filter((record): record is RunRecord => record !== null);
  }

  /** A run's task records: all of them, or those that are wanted. */
  async details(environment: string, id: string, wanted?: (task: string) => boolean): Promise<Details[]> {
    const text = await this.source.read(environment, id, 'jsonl');
    if (text === null) return [];
    const lines = text.split('\n').filter((line) => line !== '' && (!wanted || wanted(nameIn(line))));
    return lines.map(parseDetails).filter((item): item is Details => item !== null);
  }

  private read(): Promise<void> {
    this.refreshing ??= this.readOnce();
    return this.refreshing;
  }

  private async readOnce(): Promise<void> {
    try {
      const changed = await this.source.refresh();
      const before = this.problem;
      this.problem = null;
      if (this.runningChanged() || changed || before !== null) this.changed();
    } catch (error) {
      const problem = describe(error);
      const before = this.problem;
      this.problem = problem;
      if (problem !== before) {
        console.error(`cannot read ${this.source.name}: ${problem}`);
        this.changed();
      }
    } finally {
      this.refreshedAt = Date.now();
      this.refreshing = null;
      if (this.source.behind && this.problem === null) setImmediate(() => void this.read());
    }
  }

  /** Whether other runs are running than last time: a run that is killed changes no file. */
  private runningChanged(): boolean {
    const lines = this.source.environments().flatMap((name) => running(this.source.lines(name)));
    const before = this.running;
    this.running = lines.map((line) => `${line.environment}/${line.id}`).join(' ');
    return this.running !== before;
  }

  private changed(): void {
    this.changes += 1;
    for (const listener of this.listeners) listener();
  }

  private cache(key: string, record: RunRecord): void {
    this.records.set(key, record);
    const oldest = this.records.keys().next().value;
    if (this.records.size > CACHED && oldest !== undefined) this.records.delete(oldest);
  }
}

/** The task's name in a line; it comes first, so the line need not be parsed. */
function nameIn(line: string): string {
  return /^\{"task":"([^"]*)"/.exec(line)?.[1] ?? '';
}

function describe(error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === 'ENOENT') return 'the folder does not exist';
  if (code === 'EACCES') return 'permission denied';
  return error instanceof Error ? error.message : String(error);
}

let instance: History | null = null;

/** This server's history. */
export function history(): History {
  instance ??= new History(configured());
  return instance;
}
