// Drives a real browser for another process: `node tests/drive.mjs CHROMIUM WIDTH HEIGHT`. Reads one JSON command per line,
// `{"tab": name, "act": "open" | "run" | "press" | "type" | "click" | "wait" | "slow" | "clock" | "pass", "with": text or number}`,
// and answers each with one line: `{"value": ...}` or `{"error": text}`.
import { createInterface } from 'node:readline';
import { setTimeout } from 'node:timers/promises';
import { chromium } from 'playwright-core';

const TIMEOUT = 60_000;
const [executablePath, width, height] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
const context = await browser.newContext({ viewport: { width: Number(width), height: Number(height) } });
const tabs = new Map();

const acts = {
  open: async (tab, url) => (await tab.goto(url)).status(),
  run: (tab, code) => tab.evaluate(code),
  wait: async (tab, code) => {
    const end = Date.now() + TIMEOUT; // Playwright's own waits need eval, which the page's policy forbids
    while (!(await tab.evaluate(code).catch(() => false))) {
      if (Date.now() > end) throw new Error(`timed out; the page: ${await tab.innerText('body')}`);
      await setTimeout(50);
    }
  },
  press: (tab, key) => tab.keyboard.press(key),
  type: (tab, text) => tab.keyboard.type(text),
  click: (tab, selector) => tab.click(selector),
  // From now on, each data load of the page takes that many milliseconds.
  slow: (tab, delay) =>
    tab.route('**/__data.json*', (route) => setTimeout(delay).then(() => route.continue().catch(() => {}))),
  clock: (tab) => tab.clock.install(),
  pass: (tab, delay) => tab.clock.fastForward(delay)
};

for await (const line of createInterface({ input: process.stdin })) {
  const { tab: name, act, with: argument } = JSON.parse(line);
  try {
    if (!tabs.has(name)) tabs.set(name, await context.newPage());
    console.log(JSON.stringify({ value: (await acts[act](tabs.get(name), argument)) ?? null }));
  } catch (error) {
    console.log(JSON.stringify({ error: String(error) }));
  }
}
await browser.close();
