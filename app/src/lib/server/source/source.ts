import type { Line, Overview } from '$lib/records';

/** Where records are read from. */
export interface Source {
  /** The source in words, without credentials. */
  readonly name: string;
  /** Milliseconds after which it is worth looking again. */
  readonly pause: number;
  /** Whether the last look has left something to read. */
  readonly behind: boolean;
  /** Look for what is new; true when anything has changed. Throws when the source cannot be read at all. */
  refresh(): Promise<boolean>;
  /** The environments, by name. */
  environments(): string[];
  /** The runs of an environment, the latest first. */
  lines(environment: string): Line[];
  /** What is known of the stacks of an environment. */
  overview(environment: string): Overview | null;
  /** The text of a run's record, or of its task records; null when there is none. */
  read(environment: string, run: string, kind: 'json' | 'jsonl'): Promise<string | null>;
}
