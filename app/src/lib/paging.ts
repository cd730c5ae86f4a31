export interface Page<T> {
  items: T[];
  number: number;
  pages: number;
  total: number;
}

/** A page of a list; a number that is none, or beyond the list, is the nearest page. */
export function page<T>(all: T[], wanted: string | null, size: number): Page<T> {
  const pages = Math.max(Math.ceil(all.length / size), 1);
  const asked = Math.floor(Number(wanted ?? 1));
  const number = Number.isFinite(asked) ? Math.min(Math.max(asked, 1), pages) : 1;
  return { items: all.slice((number - 1) * size, number * size), number, pages, total: all.length };
}
