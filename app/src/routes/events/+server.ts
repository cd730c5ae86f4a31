import { version } from '$app/environment';
import { history } from '$lib/server/history';

const BEAT = 25_000; // proxies close what is silent for half a minute
const ENCODER = new TextEncoder();

const streams = new Set<Stream>();

// Streams have no end of their own: a server that is to stop would wait for them until its patience is over.
process.on('SIGTERM', () => streams.forEach((stream) => stream.end()));

/** One page that listens: it is told this build and the state of the records, at every change and as a sign of life. */
class Stream implements UnderlyingDefaultSource<Uint8Array> {
  private controller: ReadableStreamDefaultController<Uint8Array> | null = null;
  private beat: NodeJS.Timeout | undefined;
  private unwatch = () => {};

  start(controller: ReadableStreamDefaultController<Uint8Array>) {
    this.controller = controller;
    this.unwatch = history().watch(() => this.tell());
    this.beat = setInterval(() => this.tell(), BEAT);
    streams.add(this);
    this.tell('retry: 3000\n');
  }

  /** The page has gone. */
  cancel() {
    streams.delete(this);
    this.unwatch();
    clearInterval(this.beat);
    this.controller = null;
  }

  end() {
    this.controller?.close();
    this.cancel();
  }

  private tell(first = '') {
    this.controller?.enqueue(ENCODER.encode(`${first}data: ${version} ${history().state}\n\n`));
  }
}

/** Server-sent events, https://html.spec.whatwg.org/multipage/server-sent-events.html. */
export function GET() {
  return new Response(new ReadableStream(new Stream()), {
    headers: { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store', 'X-Accel-Buffering': 'no' }
  });
}
