// Reads parts of parsed JSON that others wrote: a value of the wrong type is dropped, nothing throws.

type Json = Record<string, unknown>;

export const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
export const object = (value: unknown): Json => (isObject(value) ? value : {});
/** The entries of an object, without `__proto__`: SvelteKit cannot send that name to a browser. */
export const entries = (value: unknown): [string, unknown][] =>
  Object.entries(object(value)).filter(([name]) => name !== '__proto__');
export const array = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);
export const text = (value: unknown): string => (typeof value === 'string' ? value : '');
export const optional = (value: unknown): string | null => (typeof value === 'string' && value !== '' ? value : null);
export const number = (value: unknown): number => (typeof value === 'number' && Number.isFinite(value) ? value : 0);
export const texts = (value: unknown): string[] =>
  array(value).filter((item): item is string => typeof item === 'string');

export function numbers(value: unknown): Record<string, number> {
  return Object.fromEntries(entries(value).filter((pair): pair is [string, number] => typeof pair[1] === 'number'));
}

/** An http(s) address; any other scheme, such as `javascript:`, is dropped. */
export function web(value: unknown): string | null {
  return typeof value === 'string' && /^https?:\/\//.test(value) ? value : null;
}

const DEEPEST = 200; // nothing that is shown is nested a tenth as deep

/** Parsed JSON; null for a file that is missing, half written, not JSON, or nested too deep for code that walks it. */
export function parsed(text: string | null): unknown {
  if (text === null) return null;
  try {
    const value: unknown = JSON.parse(text);
    return isDeep(value) ? null : value;
  } catch {
    return null;
  }
}

/** Whether a value is nested too deep; level by level, as a function that calls itself could not say. */
function isDeep(value: unknown): boolean {
  let level = [value];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > DEEPEST) return true;
    level = level.flatMap((item) => (typeof item === 'object' && item !== null ? Object.values(item) : []));
  }
  return false;
}
