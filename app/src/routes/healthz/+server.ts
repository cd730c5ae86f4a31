import { json } from '@sveltejs/kit';
import { version } from '$app/environment';
import { env } from '$env/dynamic/private';

/** The server is up: its version, as deployed, and its build. */
export const GET = () => json({ status: 'ok', version: env.DASHBOARD_VERSION || version, build: version });
