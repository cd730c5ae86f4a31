// Takes pictures: `node pictures.mjs CHROMIUM PLAYWRIGHT JOBS.json`. Each job is
// `{"url", "to", "width", "height", "scheme", "full", "select"}`; the picture is a WebP file.
import { readFileSync, writeFileSync } from 'node:fs';

const [executablePath, playwright, jobs] = process.argv.slice(2);
const { chromium } = await import(playwright);
const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
for (const { url, to, width, height = 900, scheme = 'light', full = false, select } of JSON.parse(
  readFileSync(jobs, 'utf8')
)) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: scheme, reducedMotion: 'reduce' });
  const page = await context.newPage();
  await page.goto(url, { waitUntil: 'load' });
  await page.evaluate(() => document.fonts.ready);
  const shot = select
    ? await page.locator(select).first().screenshot()
    : await page.screenshot({ fullPage: full });
  const blank = await context.newPage();
  const webp = await blank.evaluate(async (png) => {
    const image = new Image();
    image.src = `data:image/png;base64,${png}`;
    await image.decode();
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [image.width, image.height];
    canvas.getContext('2d').drawImage(image, 0, 0);
    return canvas.toDataURL('image/webp', 0.72).split(',')[1];
  }, shot.toString('base64'));
  writeFileSync(to, Buffer.from(webp, 'base64'));
  await context.close();
}
await browser.close();
