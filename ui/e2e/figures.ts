// The figures of docs/page.md, measured in a browser beside a real daemon: npm run figures. No test asserts them: they are those of a machine.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import type { CDPSession, Page } from 'playwright-core'
import { Kit, repository, startBrowser, task, until, visit } from './harness'

const browser = await startBrowser()
const kit = await new Kit().start()
await kit.worker('shop')
const rows: [what: string, bound: string, is: string][] = []
const ms = (n: number) => Math.round(n) + ' ms'

for (const [name, bound] of [['app.js', '60 KiB'], ['app.css', '8 KiB']] as const) {
  rows.push([name + ', gzipped', bound, (gzipSync(readFileSync(join(repository, 'ui', 'dist', 'ui', name)), { level: 9 }).length / 1024).toFixed(1) + ' KiB'])
}

// busy is how much CPU the page has used, in ms.
async function busy(cdp: CDPSession): Promise<number> {
  const { metrics } = await cdp.send('Performance.getMetrics')
  return 1000 * (metrics.find((m) => m.name === 'TaskDuration')?.value ?? 0)
}

// measured gives the time and the CPU from an address to what is there when somebody can go on.
async function measured(hash: string, ready: (page: Page) => Promise<void>): Promise<{ wall: number; cpu: number; elements: number }> {
  const v = await visit(browser, kit.url, '#/nowhere')
  await v.page.locator('.live.yes').waitFor()
  const cdp = await v.page.context().newCDPSession(v.page)
  await cdp.send('Performance.enable', { timeDomain: 'threadTicks' })
  const before = await busy(cdp)
  const began = performance.now()
  await v.page.evaluate((h) => void (location.hash = h), hash)
  await ready(v.page)
  await v.page.evaluate(() => new Promise((done) => requestAnimationFrame(() => setTimeout(done))))
  const out = { wall: performance.now() - began, cpu: (await busy(cdp)) - before, elements: await v.page.evaluate(() => document.querySelectorAll('*').length) }
  await v.close()
  return out
}

await kit.register('idle', [{ name: 'wait', type: 'wait_signal', signal: { name: 'never' } }])
for (let i = 0; i < 200; i++) await kit.run('idle', 'idle-' + i)
{
  const v = await visit(browser, kit.url, '#/runs')
  await v.page.locator('.rows .why', { hasText: 'never' }).first().waitFor()
  const paint = await v.page.evaluate(() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0)
  rows.push(['first paint', '', ms(paint)])
  await v.close()
}
const list = await measured('/runs', (p) => p.locator('.rows .why', { hasText: 'never' }).nth(10).waitFor())
rows.push(['200 runs, each with its reason', '', `${ms(list.wall)}, ${ms(list.cpu)} of CPU`])

for (const n of [300, 2_000, 10_000]) {
  const name = 'steps-' + n
  const steps = [task('begin', 'shop', 'ok')]
  for (let i = 0; i < n - 2; i++) steps.push(task('part-' + i, 'nobody', 'ok', { dependencies: [i % 10 ? 'part-' + (i - 1) : 'begin'] }))
  steps.push(task('end', 'shop', 'ok', { dependencies: steps.slice(1).map((s) => s.name) }))
  await kit.register(name, steps)
  await kit.run(name, name)
  await until(async () => (await kit.step(name, 'begin')) === 'completed', 'it has begun', 60_000)
  const graph = `${kit.url}/v1/workflows/${name}/graph?version=1&fold=2000`
  const began = performance.now()
  await (await fetch(graph)).arrayBuffer()
  const laid = performance.now() - began
  const run = await measured('/run/' + name, async (p) => {
    await p.locator('.banner li').first().waitFor({ timeout: 120_000 })
    await p.locator('.node').first().waitFor({ timeout: 120_000 })
  })
  rows.push([`a run of ${n.toLocaleString('en')} steps, until its graph can be used`, n === 10_000 ? '2,000 ms of CPU' : '', `${ms(run.wall)}, ${ms(run.cpu)} of CPU, ${run.elements.toLocaleString('en')} elements`])
  rows.push([`its layout, by the daemon`, '', ms(laid)])
}
await browser.close()
await kit.stop()

const width = Math.max(...rows.map(([what]) => what.length))
for (const [what, bound, is] of rows) console.log(what.padEnd(width + 2) + is + (bound && ` (bound: ${bound})`))
