// The hub's page in headless Chromium as a household meets it: on a phone, with and without scripts, in
// light and dark. Run by controller/tests/page_browser.rs:
//
//   node page.mjs http://127.0.0.1:PORT PIN FOLDER_FOR_SCREENSHOTS /usr/bin/chromium
//
// Prints what was measured; the first thing that does not hold ends it with a message and exit code 1.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

const [base, pin, shots, executablePath] = process.argv.slice(2);
const WHY = /Off until \d\d:\d\d tomorrow: \d+ % left, \d+ % needed for the critical and important loads\./;
const LONGEST = 150_000;

// Without these Chromium calls home at every start, which on a closed network only costs time.
const quiet = ['--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync'];
// Chromium refuses to start as root with its sandbox.
const args = process.getuid() === 0 ? ['--no-sandbox', ...quiet] : quiet;

const stuck = setTimeout(() => { console.error(`not done after ${LONGEST / 1000} s`); process.exit(2); }, LONGEST);

/** A phone; everything it says or asks for is noted. */
async function phone(browser, options = {}) {
  const context = await browser.newContext({
    viewport: { width: 360, height: 640 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true, ...options,
  });
  const page = await context.newPage();
  const noted = { complaints: [], foreign: [], bytes: 0, answers: 0 };
  page.on('console', (message) => noted.complaints.push(`${message.type()}: ${message.text()}`));
  page.on('pageerror', (error) => noted.complaints.push(`error: ${error.message}`));
  page.on('request', (request) => {
    const url = request.url();
    if (!url.startsWith(`${base}/`) && !url.startsWith('data:')) noted.foreign.push(url);
  });
  page.on('response', async (response) => {
    if (response.url().startsWith('data:')) return;
    const sizes = await response.request().sizes().catch(() => null);
    noted.answers += 1;
    noted.bytes += sizes ? sizes.responseHeadersSize + sizes.responseBodySize : 0;
  });
  return { context, page, noted };
}

/** All text a reader sees, units not tied to their figures. */
const text = async (page) => (await page.innerText('body')).replaceAll('\u00a0', ' ');

/** Nothing sticks out to the side, at any width of a phone. */
async function fits(page, name) {
  for (const width of [320, 360, 390]) {
    await page.setViewportSize({ width, height: 640 });
    const wide = await page.evaluate(() => document.documentElement.scrollWidth);
    assert.ok(wide <= width, `${name} scrolls sideways: ${wide} px on ${width}`);
  }
  await page.setViewportSize({ width: 360, height: 640 });
}

/** Fingers hit every button and link: at least 44 px high. */
async function touchable(page, name) {
  const small = await page.evaluate(() => [...document.querySelectorAll('a,button,input:not([type=hidden])')]
    .map((element) => [element.textContent || element.name, element.getBoundingClientRect().height])
    .filter(([, height]) => height < 44));
  assert.deepEqual(small, [], `${name}: too small to touch`);
}

/** Text stands out from its background by 4.5 to 1 (WCAG 2, level AA), in the chart labels too. */
async function readable(page, name) {
  const faint = await page.evaluate(() => {
    const parse = (color) => (color.match(/[\d.]+/g) || []).map(Number);
    const light = ([r, g, b]) => [r, g, b].map((part) => part / 255)
      .map((part) => (part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
      .reduce((sum, part, place) => sum + part * [0.2126, 0.7152, 0.0722][place], 0);
    const behind = (element) => {
      for (let at = element; at; at = at.parentElement) {
        const color = parse(getComputedStyle(at).backgroundColor);
        if (color.length === 3 || color[3] === 1) return color;
      }
      return [255, 255, 255];
    };
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const found = [];
    while (walker.nextNode()) {
      const element = walker.currentNode.parentElement;
      if (!walker.currentNode.data.trim() || !element.getClientRects().length) continue;
      const style = getComputedStyle(element);
      const front = parse(element instanceof SVGElement ? style.fill : style.color);
      const [a, b] = [light(front), light(behind(element))].sort((x, y) => y - x);
      const ratio = (a + 0.05) / (b + 0.05);
      if (ratio < 4.5) found.push(`${walker.currentNode.data.trim().slice(0, 40)}: ${ratio.toFixed(2)}`);
    }
    return found;
  });
  assert.deepEqual(faint, [], `${name}: too faint to read`);
}

/** What a household must find on the page. */
async function shown(page, name) {
  const all = await text(page);
  for (const words of ['Probably: Lights and Medicine fridge should last the night.', 'Thermometer does not answer',
    'Next two days', 'Last two days', 'Water pump', '13.0 V']) {
    assert.ok(all.includes(words), `${name}: ${JSON.stringify(words)} is not on the page:\n${all}`);
  }
  assert.match(all, WHY, name);
  assert.ok(await page.locator('h1').isVisible());
  const answer = await page.locator('h1').boundingBox();
  assert.ok(answer.y + answer.height < 640, `${name}: the answer is not in the first glance`);
  assert.equal(await page.locator('figure svg[role=img]').count(), 4);
  for (const chart of await page.locator('figure svg').all()) {
    const box = await chart.boundingBox();
    assert.ok(box.width > 250 && box.height > 100, `${name}: a chart of ${box.width} x ${box.height}`);
  }
}

const tv = (page) => page.locator('li', { has: page.locator('h4', { hasText: /^TV$/ }) });

/** Taps through the wish for the TV. */
async function keepOn(page, name, withPin) {
  await tv(page).getByText('Keep on for an hour').tap();
  await page.waitForURL(/\/keep\?load=4$/);
  const cost = await text(page);
  assert.match(cost, /TV on for an hour takes 60 Wh \(3 % of the battery\)/, name);
  assert.match(cost, /it comes out of their reserve/, name);
  await fits(page, `${name}, costs`);
  await touchable(page, `${name}, costs`);
  await readable(page, `${name}, costs`);
  await page.screenshot({ path: join(shots, `${name}-costs.png`) });
  if (withPin) {
    await page.getByLabel('PIN').fill('1111');
    await page.getByText('Yes, keep it on').tap();
    await page.getByText('That PIN is wrong.').waitFor();
    await page.getByLabel('PIN').fill(pin);
  } else {
    assert.equal(await page.getByLabel('PIN').count(), 0, `${name}: the session holds`);
  }
  await page.getByText('Yes, keep it on').tap();
  await page.waitForURL(`${base}/`);
  assert.match(await tv(page).innerText(), /Asked to stay on until 21:1\d/, name);
}

async function release(page, name) {
  await tv(page).getByText('Release').tap();
  await page.waitForURL(/\/release\?load=4$/);
  await page.getByText('Yes, release it').tap();
  await page.waitForURL(`${base}/`);
  assert.doesNotMatch(await tv(page).innerText(), /Asked to stay on/, name);
}

/** Wrong PINs are answered 403, which Chromium notes in its console; nothing else may be there. */
const unexpected = (noted) => noted.complaints.filter((line) => !line.includes('status of 403'));

const browser = await chromium.launch({ executablePath, args });
try {
  for (const colorScheme of ['light', 'dark']) {
    const { context, page, noted } = await phone(browser, { colorScheme });
    await page.goto(`${base}/`);
    await page.waitForLoadState('networkidle');
    if (colorScheme === 'light') console.log(`first page: ${noted.bytes} bytes in ${noted.answers} answer(s)`);
    assert.ok(noted.bytes > 1000 && noted.bytes < 60_000, `the first page takes ${noted.bytes} bytes`);
    await shown(page, colorScheme);
    await fits(page, colorScheme);
    await touchable(page, colorScheme);
    await readable(page, colorScheme);
    await page.screenshot({ path: join(shots, `${colorScheme}.png`), fullPage: true });
    await page.screenshot({ path: join(shots, `${colorScheme}-first-glance.png`) });
    assert.deepEqual([noted.complaints, noted.foreign], [[], []], colorScheme);
    await context.close();
  }

  // The wish, by tapping; another phone that only watches sees it come and go without loading the page again.
  const watching = await phone(browser);
  await watching.page.goto(`${base}/`);
  await watching.page.evaluate(() => { window.sameLoad = true; });
  const asking = await phone(browser);
  await asking.page.goto(`${base}/`);
  await keepOn(asking.page, 'wish', true);
  await tv(watching.page).getByText('Asked to stay on').waitFor({ timeout: 10_000 });
  await asking.page.screenshot({ path: join(shots, 'wish-granted.png'), fullPage: true });
  await release(asking.page, 'wish');
  await tv(watching.page).getByText('Asked to stay on').waitFor({ state: 'detached', timeout: 10_000 });
  assert.equal(await watching.page.evaluate(() => window.sameLoad), true, 'the page was loaded again');
  await keepOn(asking.page, 'session', false);
  await release(asking.page, 'session');
  assert.deepEqual([unexpected(asking.noted), asking.noted.foreign], [[], []]);
  assert.deepEqual([watching.noted.complaints, watching.noted.foreign], [[], []]);

  // The network goes: the page says so, and takes it back.
  await watching.context.setOffline(true);
  await watching.page.getByText('No answer from the hub since').waitFor({ timeout: 15_000 });
  await watching.context.setOffline(false);
  await watching.page.locator('#lost').waitFor({ state: 'hidden', timeout: 15_000 });

  // A browser without scripts: all is there, and the wish goes through.
  const plain = await phone(browser, { javaScriptEnabled: false });
  await plain.page.goto(`${base}/`);
  assert.ok((await plain.page.content()).includes('http-equiv="refresh" content="30"'));
  await tv(plain.page).getByText('Keep on for an hour').tap();
  await plain.page.getByLabel('PIN').fill(pin);
  await plain.page.getByText('Yes, keep it on').tap();
  await plain.page.waitForURL(`${base}/`);
  assert.match(await tv(plain.page).textContent(), /Asked to stay on until/);
  await plain.page.getByText('Lock: ask for the PIN again').tap();
  await plain.page.getByText('Lock: ask for the PIN again').waitFor({ state: 'detached' });
  await tv(plain.page).getByText('Release').tap();
  await plain.page.waitForURL(/\/release\?load=4$/);
  await plain.page.getByLabel('PIN').waitFor();
  assert.deepEqual(unexpected(plain.noted), []);
  console.log('phone, wish, watching, network lost, no scripts: all hold');
} catch (error) {
  console.error(error.stack);
  process.exitCode = 1;
} finally {
  await browser.close();
  clearTimeout(stuck);
}
