import type { Line, Overview } from '$lib/records';

/** Where records are read from. */
export interface Source {
  /** The source for display, without credentials. */
  readonly name: string;
  /** Milliseconds to wait between two refreshes. */
  readonly pause: number;
  /** Whether the last refresh left something to read. */
  readonly behind: boolean;
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
