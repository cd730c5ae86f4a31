import { isObject, object, text } from './json';

/** Why a task failed, ready to be shown; parts that are not known are empty. */
export interface Problem {
  kind: string;
  summary: string;
  /** `file:line:column key`, as far as known. */
  where: string;
  stack: string;
  untouched: string;
  next: Next | null;
  details: string;
  log: string;
}

export interface Next {
  /** A command line for a shell. */
  command: string;
  text: string;
}

/** A part of a next step: words, or a command that can be copied. */
export interface Part {
  text: string;
  command: boolean;
}

/** A next step in parts. Commands stand in backquotes in the text; the one that it is about is added if it is not there. */
export function parts({ text, command }: Next): Part[] {
  const found = text
    .split(/`([^`\n]+)`/)
    .map((part, index) => ({ text: part, command: index % 2 === 1 }))
    .filter((part) => part.text.trim() !== '');
  const named = !command || found.some((part) => part.command && part.text === command);
  const spaced = found.map((part) => (part.command ? part : { ...part, text: `${part.text.trimEnd()} ` }));
  return named ? found : [...spaced, { text: command, command: true }];
}

/** A problem of a task record; null when the value has neither a kind nor a summary. */
export function parseProblem(value: unknown): Problem | null {
  const source = object(value);
  const [kind, summary] = [text(source.kind), text(source.summary)];
  if (!kind && !summary) return null;
  return {
    kind,
    summary,
    where: where(source.where),
    stack: text(source.stack),
    untouched: text(source.untouched),
    next: next(source.next),
    details: text(source.details),
    log: text(source.log)
  };
}

/** What holds for all tasks that failed for one cause. */
export type Shared = Pick<Problem, 'untouched' | 'next'>;

/** What a run's record says of all tasks that failed for one cause. */
export function parseShared(value: unknown): Shared {
  const source = object(value);
  return { untouched: text(source.untouched), next: next(source.next) };
}

function where(value: unknown): string {
  const { file, line, column, key } = object(value);
  const place = [text(file)];
  if (place[0] && isPosition(line)) place.push(String(line), ...(isPosition(column) ? [String(column)] : []));
  return [place.join(':'), text(key)].filter(Boolean).join(' ');
}

const isPosition = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) > 0;

function next(value: unknown): Next | null {
  if (!isObject(value)) return null;
  const words: unknown[] = Array.isArray(value.command) ? value.command : [];
  // A command that lacks one of its words is another command: all or nothing.
  const command = words.every((word) => typeof word === 'string') ? words.map(quoted).join(' ') : '';
  return command || text(value.text) ? { command, text: text(value.text) } : null;
}

const PLAIN = /^[\w@%+:,./-][\w@%+=:,./-]*$/;
const INVISIBLE = /(?! )[\p{C}\p{Z}]/u;

/** A word as a shell reads it. Invisible characters are escaped: a command must not differ from what is seen of it. */
function quoted(word: string): string {
  if (PLAIN.test(word)) return word;
  if (!INVISIBLE.test(word)) return `'${word.replaceAll("'", "'\\''")}'`;
  const escaped = [...word].map((character) => {
    if (character === "'" || character === '\\') return `\\${character}`;
    return INVISIBLE.test(character) ? codePoint(character) : character;
  });
  return `$'${escaped.join('')}'`;
}

function codePoint(character: string): string {
  const hex = (character.codePointAt(0) ?? 0).toString(16);
  return hex.length > 4 ? `\\U${hex.padStart(8, '0')}` : `\\u${hex.padStart(4, '0')}`;
}
