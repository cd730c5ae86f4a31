/** The filter in a page's query. */
export const filterIn = (url: URL): string => (url.searchParams.get('q') ?? '').trim().slice(0, 100);

/** Whether a name contains the filter, ignoring case. */
export const matches = (name: string, filter: string): boolean => name.toLowerCase().includes(filter.toLowerCase());
