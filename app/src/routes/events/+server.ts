import { history } from '$lib/server/history';

const BEAT = 25_000; // proxies close what is silent for half a minute

/** Server-sent events: a number that grows whenever the records change. */
export function GET() {
  const records = history();
  let stop = () => {};
  const stream = new ReadableStream<Uint8Array>({
    start(controller) {
      const encoder = new TextEncoder();
      const send = (text: string) => {
        try {
          controller.enqueue(encoder.encode(text));
        } catch {
          stop();
        }
      };
      const unwatch = records.watch(() => send(`data: ${records.version}\n\n`));
      const beat = setInterval(() => send(': \n\n'), BEAT);
      stop = () => {
        unwatch();
        clearInterval(beat);
      };
      send(`retry: 3000\ndata: ${records.version}\n\n`);
    },
    cancel: () => stop()
  });
  return new Response(stream, {
    headers: { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store', 'X-Accel-Buffering': 'no' }
  });
}
