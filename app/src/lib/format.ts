import type { Counts } from './records';

/** A commit, abbreviated. */
export const short = (commit: string | null): string => (commit ? commit.slice(0, 8) : '');

/** Seconds as text: `0.4 s`, `12 s`, `3 min 20 s`, `1 h 5 min`. */
export function duration(seconds: number): string {
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min ${whole % 60} s`.replace(' 0 s', '');
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`.replace(' 0 min', '');
}

const STEPS: [number, string][] = [
  [60, 'min'],
  [24, 'h'],
  [30, 'd'],
  [12, 'mo'],
  [Infinity, 'y']
];

/** How long ago a time was: `just now`, `5 min ago`, `3 d ago`. */
export function ago(moment: string, clock: number): string {
  let amount = (clock - Date.parse(moment)) / 60_000;
  if (Number.isNaN(amount)) return '';
  if (amount < 1) return 'just now';
  for (const [size, word] of STEPS) {
    if (amount < size) return `${Math.floor(amount)} ${word} ago`;
    amount /= size;
  }
  return '';
}

/** A time in UTC, the same on the server and in every browser: `2026-11-24 17:29:06`. */
export function moment(text: string): string {
  const date = new Date(text);
  return Number.isNaN(date.getTime()) ? '' : date.toISOString().slice(0, 19).replace('T', ' ');
}

/** A number with its word: `1 stack`, `3 stacks`. */
export const count = (number: number, word: string): string => `${number} ${word}${number === 1 ? '' : 's'}`;

const SIGNS: [string, string][] = [
  ['add', '+'],
  ['change', '~'],
  ['replace', '±'],
  ['destroy', '−']
];

const WORDS: [string, string, string][] = [
  ['destroy', 'destroyed', 'destroy'],
  ['replace', 'replaced', 'replace'],
  ['change', 'changed', 'change'],
  ['add', 'created', 'create'],
  ['move', 'moved', 'move'],
  ['imports', 'imported', 'import'],
  ['forget', 'forgotten', 'forget']
];

/** The counts in words, the worst first: `1 destroyed, 2 changed`; of a plan `1 to destroy, 2 to change`. */
export const total = (numbers: Counts, planned = false): string =>
  WORDS.filter(([name]) => numbers[name])
    .map(([name, done, todo]) => `${numbers[name]} ${planned ? `to ${todo}` : done}`)
    .join(', ');

/** How many resources are destroyed or replaced. */
export const destroyed = (numbers: Counts | undefined): number => (numbers?.destroy ?? 0) + (numbers?.replace ?? 0);

/** The counts of a plan: `+2 ~1`. */
export function counts(numbers: Counts): string {
  const signs = SIGNS.filter(([name]) => numbers[name]).map(([name, sign]) => `${sign}${numbers[name]}`);
  const rare = ['move', 'imports', 'forget', 'outputs'].filter((name) => numbers[name]);
  return [...signs, ...rare.map((name) => count(numbers[name] ?? 0, name.replace(/s$/, '')))].join(' ');
}

/** A text in the parts between which a line may break: after the slashes of paths and addresses. */
export const breakable = (text: string): string[] => text.split(/(?<=\/)(?!\/)/);
