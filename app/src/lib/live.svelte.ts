import { tick } from 'svelte';
import { invalidateAll } from '$app/navigation';
import { navigating } from '$app/state';
import { version as build } from '$app/environment';

const DEBOUNCE = 500; // milliseconds before a change is shown: changes come in bursts
const RETRY = 3_000; // between attempts to reach a server that is down
const SILENCE = 60_000; // the server sends something every 25 s; a silent connection is dead
const RELOADED = 'doit-tofu-reloaded';

/**
 * Keeps an open page up to date. The server announces the state of its records (`/events`); a page that shows another
 * state reloads its data in place. It reconnects on its own when the server has been away.
 *
 * @param shown The state of the records that the page shows.
 */
export class Live {
  state = $state<'off' | 'on' | 'lost'>('off');
  private events: EventSource | null = null;
  private timer: ReturnType<typeof setTimeout> | null = null;
  private lastMessage = 0;
  private announced = '';

  constructor(private readonly shown: () => string) {}

  /** Listen; returns a function that stops it. Hidden tabs do not listen: browsers allow six connections per host. */
  start(): () => void {
    const toggle = () => (document.hidden ? this.close() : this.connect());
    const watch = setInterval(() => {
      if (document.hidden) return;
      const refused = this.events?.readyState === EventSource.CLOSED; // the answer was not a stream: a proxy's 502
      if (refused || Date.now() - this.lastMessage > SILENCE) this.connect();
    }, RETRY);
    document.addEventListener('visibilitychange', toggle);
    toggle();
    return () => {
      clearInterval(watch);
      document.removeEventListener('visibilitychange', toggle);
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
    this.lastMessage = Date.now();
    this.events = new EventSource('/events');
    this.events.onerror = () => (this.state = 'lost');
    this.events.onmessage = ({ data }: MessageEvent<string>) => {
      const [serverBuild = '', state = ''] = data.split(' ');
      this.lastMessage = Date.now();
      this.state = 'on';
      this.announced = state;
      if (serverBuild !== build) this.reload(serverBuild);
      if (state !== this.shown()) this.refreshSoon(DEBOUNCE);
    };
  }

  private refreshSoon(pause: number): void {
    this.timer ??= setTimeout(() => {
      this.timer = null;
      void this.refresh();
    }, pause);
  }

  /**
   * Reload the page's data. Not while the user navigates, which would cancel that, and not while the server is down:
   * SvelteKit would replace the page with the browser's own error.
   */
  private async refresh(): Promise<void> {
    if (this.state !== 'on' || this.announced === this.shown()) return; // after reconnecting, the server announces its state again
    if (navigating.to) return this.refreshSoon(DEBOUNCE);
    const reachable = await fetch('/healthz', { cache: 'no-store' }).then(
      (answer) => answer.ok,
      () => false
    );
    if (!reachable || navigating.to) return this.refreshSoon(RETRY);
    const focused = document.activeElement;
    await invalidateAll();
    await tick();
    // A row that moved within its table has lost the focus.
    if (focused instanceof HTMLElement && focused.isConnected && document.activeElement === document.body)
      focused.focus({ preventScroll: true });
  }

  /** Another build of the dashboard answers, so its pages may need other data. Reload once, in case two builds alternate. */
  private reload(serverBuild: string): void {
    if (sessionStorage.getItem(RELOADED) === serverBuild) return;
    sessionStorage.setItem(RELOADED, serverBuild);
    location.reload();
  }
}
