import { tick } from 'svelte';
import { invalidateAll } from '$app/navigation';
import { navigating } from '$app/state';
import { version as build } from '$app/environment';

const PAUSE = 500; // milliseconds between a change and its showing: changes come in bursts
const AWAY = 3_000; // after which a server that was not there is asked again
const SILENCE = 60_000; // the server says something every 25 s; a connection that says nothing is dead
const RELOADED = 'doit-tofu-reloaded';

/**
 * Keeps an open page up to date. The server says which state of the records it has (`/events`); when the page shows
 * another one, it is loaded anew, in place. A server that goes away and comes back is found again by itself.
 *
 * @param shown The state of the records that the page shows.
 */
export class Live {
  state = $state<'off' | 'on' | 'lost'>('off');
  private events: EventSource | null = null;
  private timer: ReturnType<typeof setTimeout> | null = null;
  private heard = 0;
  private wanted = '';

  constructor(private readonly shown: () => string) {}

  /** Listen, until the function that this gives is called. Not in a tab that nobody sees: a browser has six connections. */
  start(): () => void {
    const turn = () => (document.hidden ? this.close() : this.connect());
    const watch = setInterval(() => {
      if (document.hidden) return;
      const refused = this.events?.readyState === EventSource.CLOSED; // an answer that was no stream: a proxy's 502
      if (refused || Date.now() - this.heard > SILENCE) this.connect();
    }, AWAY);
    document.addEventListener('visibilitychange', turn);
    turn();
    return () => {
      clearInterval(watch);
      document.removeEventListener('visibilitychange', turn);
      this.close();
    };
  }

  private close(): void {
    this.events?.close();
    this.state = 'off';
    if (this.timer) clearTimeout(this.timer);
    this.timer = null;
  }

  private connect(): void {
    this.events?.close();
    this.heard = Date.now();
    this.events = new EventSource('/events');
    this.events.onerror = () => (this.state = 'lost');
    this.events.onmessage = ({ data }: MessageEvent<string>) => {
      const [built = '', state = ''] = data.split(' ');
      this.heard = Date.now();
      this.state = 'on';
      this.wanted = state;
      if (built !== build) this.reload(built);
      if (state !== this.shown()) this.refreshSoon(PAUSE);
    };
  }

  private refreshSoon(pause: number): void {
    this.timer ??= setTimeout(() => {
      this.timer = null;
      void this.refresh();
    }, pause);
  }

  /**
   * Load the page's data anew. Not while the user goes to another page, which would be given up, nor from a server that
   * is not there: SvelteKit would leave the page for the browser's own error.
   */
  private async refresh(): Promise<void> {
    if (this.state !== 'on' || this.wanted === this.shown()) return; // when it is back, it says its state again
    if (navigating.to) return this.refreshSoon(PAUSE);
    const there = await fetch('/healthz', { cache: 'no-store' }).then(
      (answer) => answer.ok,
      () => false
    );
    if (!there || navigating.to) return this.refreshSoon(AWAY);
    const focused = document.activeElement;
    await invalidateAll();
    await tick();
    // A row that has moved up in its table has lost the keyboard on the way.
    if (focused instanceof HTMLElement && focused.isConnected && document.activeElement === document.body)
      focused.focus({ preventScroll: true });
  }

  /** Another version of the dashboard serves: its pages may have other data. Once, lest two that alternate be followed. */
  private reload(built: string): void {
    if (sessionStorage.getItem(RELOADED) === built) return;
    sessionStorage.setItem(RELOADED, built);
    location.reload();
  }
}
