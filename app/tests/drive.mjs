// A real browser that is driven from elsewhere: `node tests/drive.mjs CHROMIUM`. Takes a command as JSON in each line,
// `{"tab": name, "act": "open" | "run" | "press" | "type" | "click" | "wait" | "slow" | "clock" | "pass", "with": text or number}`,
// and answers each with a line: `{"value": ...}` or `{"error": text}`.
import { createInterface } from 'node:readline';
import { setTimeout } from 'node:timers/promises';
import { chromium } from 'playwright-core';

const PATIENCE = 60_000;
const browser = await chromium.launch({ executablePath: process.argv[2], args: ['--no-sandbox'] });
const context = await browser.newContext({ viewport: { width: 1100, height: 320 } });
const tabs = new Map();

const acts = {
  open: async (tab, url) => (await tab.goto(url)).status(),
  run: (tab, code) => tab.evaluate(code),
  wait: async (tab, code) => {
    const end = Date.now() + PATIENCE; // Playwright's own waiting needs eval, which the page's policy forbids
    while (!(await tab.evaluate(code).catch(() => false))) {
      if (Date.now() > end) throw new Error(`waited in vain; the page: ${await tab.innerText('body')}`);
      await setTimeout(50);
    }
  },
  press: (tab, key) => tab.keyboard.press(key),
  type: (tab, text) => tab.keyboard.type(text),
  click: (tab, selector) => tab.click(selector),
  // From now on each of the page's own loads of data takes that many milliseconds.
  slow: (tab, delay) =>
    tab.route('**/__data.json*', (route) => setTimeout(delay).then(() => route.continue().catch(() => {}))),
  clock: (tab) => tab.clock.install(),
  pass: (tab, delay) => tab.clock.fastForward(delay)
};

for await (const line of createInterface({ input: process.stdin })) {
  const { tab: name, act, with: given } = JSON.parse(line);
  try {
    if (!tabs.has(name)) tabs.set(name, await context.newPage());
    console.log(JSON.stringify({ value: (await acts[act](tabs.get(name), given)) ?? null }));
  } catch (error) {
    console.log(JSON.stringify({ error: String(error) }));
  }
}
await browser.close();
