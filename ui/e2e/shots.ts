// The pictures of README and docs, taken of a real daemon: npm run shots, or npm run shots NAME... for some of them.
import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { Kit, repository, startBrowser, task, until, visit } from './harness'

const folder = join(repository, 'docs', 'images')
mkdirSync(folder, { recursive: true })
const browser = await startBrowser()
const kit = await new Kit().start()

const day = 86_400_000
await kit.register('order', [
  task('reserve', 'shop', 'ok'),
  task('charge', 'shop', 'flaky', { dependencies: ['reserve'], object_keys: ['account:17'], retry: { initial_interval_ms: 60 } }),
  { name: 'approval', type: 'wait_signal', dependencies: ['charge'], signal: { name: 'approved', timeout_ms: day, on_timeout: 'escalate' } },
  task('escalate', 'shop', 'ok'),
  task('pack', 'shop', 'pace', { dependencies: ['charge'] }),
  task('label', 'shop', 'pace', { dependencies: ['pack'] }),
  task('invoice', 'shop', 'pace', { dependencies: ['charge'] }),
  task('ship', 'depot', 'ok', { dependencies: ['approval', 'escalate', 'label', 'invoice'] }),
])
await kit.register('refund', [task('look_up', 'shop', 'ok'), task('pay_back', 'shop', 'refuse', { dependencies: ['look_up'] }), task('tell', 'shop', 'ok', { dependencies: ['pay_back'] })])
await kit.register('nightly', [{ name: 'night', type: 'wait_timer', timer: { key: 'night', cron_expr: '0 2 * * *', time_zone: 'Europe/Berlin' } }, task('load', 'shop', 'ok', { dependencies: ['night'] })])
await kit.register('stock', [task('count', 'shop', 'ok'), task('write', 'shop', 'hold', { dependencies: ['count'], object_keys: ['shelf:3'] })])
await kit.register('delivery', [
  task('fetch', 'shop', 'echo'),
  task('charge', 'shop', 'refuse', { dependencies: ['fetch'], when: 'steps.fetch.output.total > 0', on_failure: 'apologise' }),
  task('gift', 'shop', 'ok', { dependencies: ['fetch'], when: 'steps.fetch.output.total == 0' }),
  task('apologise', 'shop', 'pace'),
  { name: 'answer', type: 'wait_signal', dependencies: ['fetch'], signal: { name: 'answer', timeout_ms: 40, on_timeout: 'remind' } },
  task('remind', 'shop', 'pace'),
  task('track', 'shop', 'pace', { dependencies: ['fetch'], repeat: { until: 'round >= 3', interval_ms: 60, max_rounds: 50 } }),
  task('close', 'shop', 'ok', { dependencies: ['gift', 'apologise', 'track'], after: ['charge', 'answer'], join: 'settled' }),
])
const worker = await kit.worker('shop')
void worker
for (let i = 1; i <= 9; i++) await kit.run('order', `order-${1040 + i}`, { customer: 'ada', items: [{ sku: 'K-17', n: i }], total: 4990 })
await kit.run('refund', 'refund-311', { order: 'order-1002' })
await kit.run('delivery', 'delivery-88', { total: 4990 })
await kit.run('nightly', 'nightly-2026-11-26')
await kit.run('stock', 'stock-a')
await until(async () => (await kit.step('stock-a', 'write')) === 'running', 'stock-a')
await kit.run('stock', 'stock-b')
for (let i = 1; i <= 9; i++) await until(async () => (await kit.step(`order-${1040 + i}`, 'approval')) === 'waiting', 'approval')
for (const i of [1, 2, 4]) await kit.ask('POST', `/v1/runs/order-${1040 + i}/signals/approved`, { payload: { by: 'grace' } })
await kit.ask('POST', '/v1/runs/order-1043/cancel', { reason: 'ordered twice' })
const depot = await kit.worker('depot')
for (const i of [1, 2]) await until(async () => (await kit.state(`order-${1040 + i}`)) === 'completed', 'ends', 60_000)
depot.kill('SIGTERM')
await until(async () => ((await kit.ask('GET', '/v1/workers')) as { workers: unknown[] }).workers.length === 1, 'the depot has left')
await kit.ask('POST', '/v1/runs/order-1045/signals/approved', { payload: { by: 'grace' } })
await until(async () => (await kit.state('refund-311')) === 'failed', 'refund')
await until(async () => (await kit.state('delivery-88')) === 'completed', 'delivery')
await until(async () => (await kit.step('order-1045', 'label')) === 'completed', 'label')

const events = ((await kit.ask('GET', '/v1/runs/order-1041/events')) as { events: { seq: number; kind: string }[] }).events
const failed = events.find((e) => e.kind === 'AttemptFailed')!

const screens: [name: string, hash: string, ready: string][] = [
  ['runs', 'runs', '.rows .tr'],
  ['run', 'run/order-1047', '.node'],
  ['failed', 'run/refund-311', '.node'],
  ['time-travel', `run/order-1041?step=charge&at=${failed.seq}`, '.travel.past'],
  ['timeline', 'run/order-1041/timeline?step=charge', '.lane'],
  ['events', 'run/order-1041/events?step=charge', '.events .rows .tr'],
  ['branches', 'run/delivery-88?step=gift', '.pane .saw'],
  ['loop', 'run/delivery-88/timeline?step=track', '.lane'],
  ['compare', 'diff?a=order-1041&b=order-1043', '.diff'],
  ['workflows', 'workflows', 'table.grid'],
  ['workflow', 'workflow/order', '.node'],
  ['workers', 'workers', 'table.grid'],
  ['objects', 'objects', 'table.grid'],
  ['daemon', 'daemon', '.card'],
]
const wanted = process.argv.slice(2).filter((a) => !a.includes('/'))
const take = async (screens: [name: string, hash: string, ready: string][]) => {
  for (const dark of [false, true]) {
    const v = await visit(browser, kit.url, '', { dark, width: 1240, height: 680 })
    await v.page.locator('.live.yes').waitFor()
    for (const [name, hash, ready] of screens) {
      if (wanted.length > 0 && !wanted.includes(name)) continue
      await v.page.goto(kit.url + '/#/' + hash)
      await v.page.locator(ready).first().waitFor()
      await v.page.waitForLoadState('networkidle').catch(() => undefined)
      await v.page.mouse.move(620, 2)
      await v.page.waitForTimeout(400) // the reasons of the rows
      await v.page.screenshot({ path: join(folder, `page-${name}-${dark ? 'dark' : 'light'}.png`) })
    }
    if (v.wrong.length) throw new Error(v.wrong.join('\n'))
    await v.close()
  }
}
await take(screens)

// Schedules have a past: the clock goes on for two weeks, by half hours. The runs in the other pictures are none of theirs.
await kit.register('etl', [task('load', 'shop', 'ok')])
const put = (name: string, definition: unknown) => kit.ask('PUT', '/v1/schedules/' + name, definition)
await put('backups', { workflow: 'etl', cron: ['30 2 * * MON-FRI', '0 14 * * *'], time_zone: 'Europe/Berlin', input: { source: 'orders' }, exclude: [{ dates: ['2026-12-01'] }] })
await put('reports', { workflow: 'report', cron: ['0 6 * * MON-FRI'], time_zone: 'Europe/London' })
await put('stocktaking', { workflow: 'etl', cron: ['0 4 * * SUN'] })
for (let i = 0; i < 2 * 24 * 14; i++) {
  if (i === 2 * 24 * 6) await kit.ask('POST', '/v1/schedules/backups/pause', { note: 'the disks are changed' })
  if (i === 2 * 24 * 8) await kit.ask('POST', '/v1/schedules/backups/resume', {})
  await kit.ask('POST', '/v1/test-clock', { advance: '30m' })
}
await kit.ask('POST', '/v1/schedules/stocktaking/pause', { note: 'until the warehouse has moved' })
await take([
  ['schedules', 'schedules', 'table.schedules'],
  ['schedule', 'schedule/backups', '.calendar'],
])
await browser.close()
await kit.stop()
// Where pngquant is installed the pictures become a third of their size.
spawnSync('pngquant', ['--force', '--ext', '.png', '--skip-if-larger', ...readdirSync(folder).filter((f) => wanted.length === 0 || wanted.some((w) => f.startsWith(`page-${w}-`))).map((f) => join(folder, f))])
