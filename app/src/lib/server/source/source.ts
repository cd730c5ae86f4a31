import type { Line, Overview } from '$lib/records';

/** Where records are read from. */
export interface Source {
  /** The source for display, without credentials. */
  readonly name: string;
  /** Milliseconds to wait between two refreshes. */
  readonly pause: number;
  /** Whether the last refresh left something to read. */
  readonly behind: boolean;
  /** Whether it is a ledger, to which only deploys write. */
  readonly isLedger: boolean;
  /** Read what is new; returns whether anything changed. Throws when the source cannot be read at all. */
  refresh(): Promise<boolean>;
  /** The environments, by name. */
  environments(): string[];
  /** The runs of an environment, latest first. */
  lines(environment: string): Line[];
  /** What is known about the stacks of an environment; null without an overview. */
  overview(environment: string): Overview | null;
  /** The text of a run's record, or of its task records; null when there is no such file. */
  read(environment: string, run: string, kind: 'json' | 'jsonl'): Promise<string | null>;
}

/** What a source knows of an environment: its runs, latest first, and its overview. */
export interface Environment {
  lines: Line[];
  overview: Overview | null;
}

/** What all sources answer from what they have read. */
export abstract class KnownEnvironments<Known extends Environment> {
  protected readonly known = new Map<string, Known>();

  environments(): string[] {
    return [...this.known.keys()].sort();
  }

  lines(environment: string): Line[] {
    return this.known.get(environment)?.lines ?? [];
  }

  overview(environment: string): Overview | null {
    return this.known.get(environment)?.overview ?? null;
  }
}
