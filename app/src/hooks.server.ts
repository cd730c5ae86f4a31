import type { Handle, HandleServerError, ServerInit } from '@sveltejs/kit';
import { building, dev } from '$app/environment';
import { env } from '$env/dynamic/private';
import { access } from '$lib/server/access';
import { history } from '$lib/server/history';
import { end, explain, replaced, REPLACED } from '$lib/server/replaced';

const PUBLIC = new Set(['/healthz', '/readyz']);
const THEMES = new Set(['light', 'dark']);
const HEADERS = {
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Permissions-Policy': 'camera=(), geolocation=(), microphone=()'
};

let gate: ReturnType<typeof access>;

/** Refuses to start with settings that no request could be answered with. */
export const init: ServerInit = () => {
  if (building) return;
  if (!dev) explain();
  try {
    gate = access(env);
    void history().refresh(); // so that the first visitor does not wait
  } catch (error) {
    console.error(`the dashboard cannot start: ${error instanceof Error ? error.message : String(error)}`);
    process.exit(1);
  }
};

function refused(status: number, message: string): Response {
  const headers = { ...HEADERS, 'Content-Type': 'text/plain', 'Cache-Control': 'no-store' };
  return new Response(`${status}: ${message}\n`, { status, headers });
}

/** Checks access, sets the theme, and adds security headers. */
export const handle: Handle = async ({ event, resolve }) => {
  if (!dev && replaced()) {
    end();
    return refused(503, REPLACED);
  }
  const theme = event.cookies.get('theme') ?? '';
  event.locals.theme = THEMES.has(theme) ? theme : 'auto';
  event.locals.user = null;
  if (!PUBLIC.has(event.url.pathname)) {
    const result = gate.check(event.getClientAddress(), event.request.headers);
    if ('refused' in result) {
      return refused(403, result.refused);
    }
    event.locals.user = result.user;
  }
  const response = await resolve(event, {
    transformPageChunk: ({ html }) => html.replace('%theme%', event.locals.theme)
  });
  for (const [name, value] of Object.entries(HEADERS)) response.headers.set(name, value);
  if (!response.headers.has('Cache-Control')) response.headers.set('Cache-Control', 'no-store');
  return response;
};

/** Says why a page cannot be answered: SvelteKit loads its code before it calls `handle`. */
export const handleError: HandleServerError = ({ error, event, status, message }) => {
  if (!dev && replaced()) {
    end();
    return { message: REPLACED };
  }
  if (status !== 404) console.error(`[${status}] ${event.request.method} ${event.url.pathname}`, error);
  return { message };
};
