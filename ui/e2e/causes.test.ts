import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { tmpdir } from 'node:os'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Kit, noBrowser, startBrowser, task, until, type Visit, visit } from './harness'

// Each cause for which a run can stand still: the page is opened on the list, the row says why, the run's banner says why and has
// the button that helps, and the page shows by itself that the run goes on.
describe.skipIf(noBrowser)('why a run does not move', () => {
  let browser: Browser
  let kit: Kit
  let v: Visit

  beforeAll(async () => {
    browser = await startBrowser()
    const settings = join(tmpdir(), `agnt5d-causes-${process.pid}.yaml`)
    writeFileSync(settings, 'services:\n  narrow: {max_concurrent: 1}\n')
    kit = await new Kit(['--config', settings]).start()
    await kit.worker('shop')
    await kit.worker('narrow')
    v = await visit(browser, kit.url, '')
  })
  afterAll(async () => {
    await browser?.close()
    await kit?.stop()
  })

  // open goes to a run by its row, which says why it stands, and gives the line of the banner.
  async function open(run: string, code: string, why: RegExp) {
    await v.page.goto(kit.url + '/#/runs')
    const row = v.page.locator('.rows .tr', { has: v.page.getByRole('link', { name: run, exact: true }) })
    await row.locator('.why', { hasText: why }).waitFor()
    await row.getByRole('link', { name: run, exact: true }).click()
    const line = v.page.locator(`.banner li[data-code=${code}]`)
    await line.waitFor()
    expect(await line.innerText()).toMatch(why)
    return line
  }
  const completed = () => v.page.locator('.run-head .state', { hasText: 'completed' }).waitFor()
  const nothingWrong = () => expect(v.wrong).toEqual([])

  test('no worker', async () => {
    await kit.register('lonely', [task('greet', 'nobody', 'ok')])
    await kit.run('lonely', 'lonely-1')
    const line = await open('lonely-1', 'no_worker', /no worker or push service serves nobody\/ok/)
    await line.getByRole('button', { name: 'Show workers' }).click()
    await v.page.getByRole('heading', { name: 'No worker of nobody' }).waitFor()
    await v.page.getByText('Steps wait, and nobody serves nobody').waitFor()
    await v.page.goBack()
    await kit.worker('nobody')
    await completed()
    nothingWrong()
  })

  test('key held by another run', async () => {
    await kit.register('holder', [task('hold', 'shop', 'hold', { object_keys: ['account:17'] })])
    await kit.register('wanter', [task('take', 'shop', 'ok', { object_keys: ['account:17'] })])
    await kit.run('holder', 'holder-1')
    await until(async () => (await kit.step('holder-1', 'hold')) === 'running', 'the holder runs')
    await kit.run('wanter', 'wanter-1')
    const line = await open('wanter-1', 'key_held', /waits for key "account:17", which is held by run holder-1/)
    await line.getByRole('button', { name: 'Open run holder-1' }).click()
    await v.page.locator('.banner li[data-code=running]').waitFor()
    kit.release('holder-1', 'hold')
    await completed()
    await v.page.goBack()
    await completed()
    nothingWrong()
  })

  test('signal missing', async () => {
    await kit.register('approval', [{ name: 'approval', type: 'wait_signal', signal: { name: 'approved' } }, task('publish', 'shop', 'ok', { dependencies: ['approval'] })])
    await kit.run('approval', 'doc-1')
    const line = await open('doc-1', 'signal', /waits for signal "approved"/)
    await line.getByRole('button', { name: 'Send signal approved' }).click()
    const dialog = v.page.getByRole('dialog')
    await dialog.locator('textarea').fill('{"by": "ada')
    expect(await dialog.getByRole('button', { name: 'Send signal' }).isDisabled()).toBe(true)
    await dialog.locator('textarea').fill('{"by": "ada", "n": 12345678901234567890}')
    expect(await dialog.locator('.command code').innerText()).toBe(`agnt5d signal doc-1 approved --payload '{"by": "ada", "n": 12345678901234567890}' --url ${kit.url}`)
    await dialog.getByRole('button', { name: 'Send signal' }).click()
    await completed()
    const r = await fetch(kit.url + '/v1/runs/doc-1')
    expect(await r.text()).toContain('{"by": "ada", "n": 12345678901234567890}') // byte for byte
    nothingWrong()
  })

  test('retry waiting', async () => {
    await kit.register('busy', [task('call', 'shop', 'flaky', { retry: { initial_interval_ms: 3_600_000, max_interval_ms: 3_600_000 } })])
    await kit.run('busy', 'busy-1')
    const line = await open('busy-1', 'retry_at', /failed attempt 1 of 3 \(handler_error: RuntimeError: the bank's line is busy\); retry 1 of 2 at/)
    expect(await line.getByRole('button').allInnerTexts()).toEqual(expect.arrayContaining(['Show the error']))
    expect(await line.getByRole('button', { name: 'Cancel' }).count()).toBe(0) // its command is two, of which the first ends the run
    expect(await line.innerText()).toContain('agnt5d cancel busy-1, then agnt5d retry busy-1')
    await line.getByRole('button', { name: 'Show the error' }).click()
    await v.page.locator('.pane .error', { hasText: 'RuntimeError' }).waitFor()
    await kit.ask('POST', '/v1/test-clock', { advance: '2h' })
    await completed()
    nothingWrong()
  })

  test('timer', async () => {
    await kit.register('later', [{ name: 'night', type: 'wait_timer', timer: { key: 'night', delay_ms: 86_400_000 } }, task('load', 'shop', 'ok', { dependencies: ['night'] })])
    await kit.run('later', 'later-1')
    const line = await open('later-1', 'timer', /waits for timer "night" until/)
    await line.getByRole('button', { name: 'Fire timer now' }).click()
    const dialog = v.page.getByRole('dialog')
    expect(await dialog.locator('.command code').innerText()).toBe(`agnt5d fire later-1 night --url ${kit.url}`)
    await dialog.getByRole('button', { name: 'Fire now' }).click()
    await completed()
    nothingWrong()
  })

  test('a loop between two rounds', async () => {
    await kit.register('poll', [task('ask', 'shop', 'ok', { repeat: { until: 'round >= 1', interval_ms: 3_600_000, max_rounds: 5 } }), { ...task('other', 'shop', 'ok'), dependencies: ['ask'] }])
    await kit.run('poll', 'poll-1')
    const line = await open('poll-1', 'repeat', /waits for its next round until/)
    expect(await line.locator('.label').innerText()).toContain('Next round')
    await v.page.keyboard.press('Escape')
    await line.getByRole('button', { name: 'Show its rounds' }).click()
    await v.page.locator('.pane .step-name', { hasText: 'ask' }).waitFor()
    await kit.ask('POST', '/v1/test-clock', { advance: '2h' })
    await completed()
    nothingWrong()
  })

  test('service full', async () => {
    await kit.register('full', [task('one', 'narrow', 'hold')])
    await kit.run('full', 'full-1')
    await until(async () => (await kit.step('full-1', 'one')) === 'running', 'the first runs')
    await kit.run('full', 'full-2')
    const line = await open('full-2', 'service_full', /service narrow runs its max_concurrent of 1/)
    await line.getByRole('button', { name: 'Show who is busy' }).click()
    await v.page.locator('table.grid').getByRole('link', { name: 'full-1' }).click()
    await v.page.locator('.banner li[data-code=running]').waitFor()
    kit.release('full-1', 'one')
    kit.release('full-2', 'one')
    await completed()
    await v.page.goto(kit.url + '/#/run/full-2')
    await completed()
    nothingWrong()
  })

  test('failed, retried by its button', async () => {
    await kit.register('refund', [task('look', 'shop', 'ok'), task('pay', 'shop', 'broken', { dependencies: ['look'] })])
    await kit.run('refund', 'refund-1')
    await until(async () => (await kit.state('refund-1')) === 'failed', 'it failed')
    await v.page.goto(kit.url + '/#/runs?state=failed')
    await v.page.locator('.rows .why', { hasText: 'card refused <img src=x' }).waitFor()
    await v.page.keyboard.press('j')
    await v.page.keyboard.press('Enter')
    await v.page.locator('.banner.bad', { hasText: 'Failed in step pay' }).waitFor()
    kit.mend()
    await v.page.getByRole('button', { name: 'Retry run' }).click()
    await v.page.getByRole('dialog').getByRole('button', { name: 'Retry run' }).click()
    await completed()
    expect(await v.page.title()).toBe('refund-1 · agnt5d') // the error's text did not become markup
    nothingWrong()
  })
})
