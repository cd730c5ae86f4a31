/** The server's time as the browser goes on counting it; 0 until it does, and always 0 on the server. */
export const clock = $state({ now: 0 });

/** Count on from a moment of the server, until the function that this gives is called. */
export function count(from: number): () => void {
  const ahead = from - Date.now();
  const timer = setInterval(() => (clock.now = Date.now() + ahead), 15_000);
  clock.now = from;
  return () => clearInterval(timer);
}
