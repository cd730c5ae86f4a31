/** What was typed into the filter, from a page's address. */
export const filterIn = (url: URL): string => (url.searchParams.get('q') ?? '').trim().slice(0, 100);

/** Whether a name contains what was typed, in either case. */
export const matches = (name: string, filter: string): boolean => name.toLowerCase().includes(filter.toLowerCase());
