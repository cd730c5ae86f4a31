/** The server's time, kept running by the browser; 0 until then, and always 0 on the server. */
export const clock = $state({ now: 0 });

/** Keep the clock running from the server's time; returns a function that stops it. */
export function startClock(from: number): () => void {
  const ahead = from - Date.now();
  const timer = setInterval(() => (clock.now = Date.now() + ahead), 15_000);
  clock.now = from;
  return () => clearInterval(timer);
}
