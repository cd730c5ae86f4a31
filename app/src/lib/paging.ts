export interface Page<T> {
  items: T[];
  number: number;
  pages: number;
  total: number;
}

/** A page of a list; anything that is not the number of a page selects the nearest one. */
export function page<T>(all: T[], requested: string | null, size: number): Page<T> {
  const pages = Math.max(Math.ceil(all.length / size), 1);
  const parsed = Math.floor(Number(requested ?? 1));
  const number = Number.isFinite(parsed) ? Math.min(Math.max(parsed, 1), pages) : 1;
  return { items: all.slice((number - 1) * size, number * size), number, pages, total: all.length };
}
