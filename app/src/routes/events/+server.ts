import { version } from '$app/environment';
import { history } from '$lib/server/history';

const HEARTBEAT = 25_000; // proxies close connections that are silent for 30 s
const ENCODER = new TextEncoder();

const streams = new Set<Stream>();

// Streams never end on their own: without this, shutdown would wait for its full timeout.
process.on('SIGTERM', () => streams.forEach((stream) => stream.end()));

/** One listening page: it is sent the build and the state of the records, at every change and as a heartbeat. */
class Stream implements UnderlyingDefaultSource<Uint8Array> {
  private controller: ReadableStreamDefaultController<Uint8Array> | null = null;
  private heartbeat: NodeJS.Timeout | undefined;
  private unwatch = () => {};

  start(controller: ReadableStreamDefaultController<Uint8Array>) {
    this.controller = controller;
    this.unwatch = history().watch(() => this.send());
    this.heartbeat = setInterval(() => this.send(), HEARTBEAT);
    streams.add(this);
    this.send('retry: 3000\n');
  }

  /** The page closed the connection. */
  cancel() {
    streams.delete(this);
    this.unwatch();
    clearInterval(this.heartbeat);
    this.controller = null;
  }

  end() {
    this.controller?.close();
    this.cancel();
  }

  private send(first = '') {
    this.controller?.enqueue(ENCODER.encode(`${first}data: ${version} ${history().state}\n\n`));
  }
}

/** Server-sent events, https://html.spec.whatwg.org/multipage/server-sent-events.html. */
export function GET() {
  return new Response(new ReadableStream(new Stream()), {
    headers: { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store', 'X-Accel-Buffering': 'no' }
  });
}
