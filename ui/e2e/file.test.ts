import { join } from 'node:path'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Kit, noBrowser, startBrowser, task, until, type Visit, visit } from './harness'

describe.skipIf(noBrowser)('the page over a file', () => {
  let browser: Browser
  let kit: Kit
  let v: Visit

  beforeAll(async () => {
    browser = await startBrowser()
    kit = await new Kit().start()
    await kit.worker('shop')
    await kit.register('order', [task('reserve', 'shop', 'talk'), task('ship', 'depot', 'ok', { dependencies: ['reserve'] })])
    for (const n of [1, 2]) {
      kit.release('order-' + n, 'reserve')
      await kit.run('order', 'order-' + n, { n })
      await until(async () => (await kit.step('order-' + n, 'ship')) === 'scheduled', 'it waits for the depot')
    }
    await kit.kill()
    v = await visit(browser, await kit.show(join(kit.folder, 'runs.db')), '')
  })
  afterAll(async () => {
    await browser?.close()
    await kit?.stop()
  })

  test('says what the file knows, as of its last event, and nothing else', async () => {
    const { page } = v
    await page.locator('.live', { hasText: /^runs\.db as of \d{4}-/ }).waitFor()
    const row = page.locator('.rows .tr', { hasText: 'order-1' })
    await row.locator('.why', { hasText: 'is queued for depot/ok' }).waitFor()
    expect(await page.locator('.picking, .views a:has-text("Stuck")').count()).toBe(0)
    await row.getByRole('link', { name: 'order-1', exact: true }).click()
    await page.locator('.banner', { hasText: 'What it waited for' }).locator('li[data-code=queued]').waitFor()
    expect(await page.getByText(/no worker|nobody serves/i).count()).toBe(0)
    expect(await page.getByRole('button', { name: /Send|Cancel|Retry|Delete|Show/ }).count()).toBe(0)
    const took = await page.locator('.run-head').innerText()
    await page.waitForTimeout(2_100) // a clock that went on would show it
    expect(await page.locator('.run-head').innerText()).toBe(took)
    await page.locator('.step-list .row', { hasText: 'reserve' }).click()
    await page.locator('.pane .logs', { hasText: 'paid' }).waitFor()
    await page.keyboard.press('[')
    await page.locator('.travel.past').waitFor()
    await page.getByRole('link', { name: 'Timeline' }).click()
    await page.locator('.lane', { hasText: 'reserve' }).waitFor()
    await page.locator('.legend', { hasText: 'the event shown' }).waitFor()
    expect(await page.locator('.lane', { hasText: 'ship' }).count()).toBe(0) // what came later
    await page.goto(page.url().replace(/#.*/, '#/diff?a=order-1&b=order-2'))
    await page.locator('.diff .plus', { hasText: '"n": 2' }).waitFor()
  })

  test.each([['schedules', 'A file’s schedules are not shown here'], ['workers', 'A file does not say who works'], ['objects', 'A file does not say who holds a key now'], ['daemon', 'No daemon runs on this file']])('%s: says that a file does not tell it', async (screen, heading) => {
    await v.page.goto(v.page.url().replace(/#.*/, '#/' + screen))
    await v.page.getByRole('heading', { name: heading }).waitFor()
    expect(v.wrong).toEqual([])
  })
})
