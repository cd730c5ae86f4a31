/** The path of an environment's page. */
export const environmentPath = (environment: string): string => `/env/${encodeURIComponent(environment)}`;

/** The path of a stack's page; stacks in folders have slashes in their names. */
export const stackPath = (environment: string, stack: string): string =>
  `${environmentPath(environment)}/stacks/${stack.split('/').map(encodeURIComponent).join('/')}`;

/** The path of a run's page. */
export const runPath = (environment: string, run: string): string => `${environmentPath(environment)}/runs/${run}`;

/** The path of the page that compares two environments. */
export const comparePath = (one: string, other: string): string => `/compare?${new URLSearchParams({ one, other })}`;
