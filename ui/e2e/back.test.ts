import type { Page } from 'playwright-core'
import { describe, expect, test } from 'vitest'
import { browsing } from './browsing'
import { noBrowser, task, until } from './harness'

const lost = /Failed to load resource|net::ERR/ // what a browser itself says when nobody answers

// Whatever becomes of the daemon, the page goes on when it is back: nothing is left that says it does not answer.
describe.skipIf(noBrowser)('a daemon that comes back', () => {
  const b = browsing()


  // screens are all there are, each with what is there once its answers have come.
  const prepared = async () => {
    const kit = await b.daemon()
    await kit.register('back', [task('one', 'shop', 'ok'), { name: 'wait', type: 'wait_signal', dependencies: ['one'], signal: { name: 'old' } }])
    await kit.register('back', [task('one', 'shop', 'ok'), task('keep', 'shop', 'hold', { object_keys: ['shelf:3'] }), { name: 'wait', type: 'wait_signal', dependencies: ['one'], signal: { name: 'go' } }])
    await kit.worker('shop')
    for (const n of [1, 2]) {
      await kit.run('back', 'back-' + n, { n })
      await until(async () => (await kit.step('back-' + n, 'wait')) === 'waiting', 'it waits')
    }
    await kit.ask('PUT', '/v1/schedules/back', { workflow: 'back', every: '1h' })
    await kit.ask('POST', '/v1/schedules/back/trigger', {})
    const { events } = (await kit.ask('GET', '/v1/runs/back-1/events')) as { events: { seq: number }[] }
    const screens: [hash: string, ready: string][] = [
      ['runs?workflow=back', '.rows .tr'],
      ['run/back-1', '.node'],
      [`run/back-1?at=${events[2]!.seq}`, '.travel.past'],
      ['run/back-1/timeline', '.lane'],
      ['run/back-1/events', '.events .rows .tr'],
      ['workflows', 'table.grid'],
      ['workflow/back', '.node'],
      ['workflow/back/compare', '.diff'],
      ['workers', 'table.grid'],
      ['objects/shelf:3', '.pane dl'],
      ['schedules', 'table.schedules'],
      ['schedule/back', '.calendar'],
      ['daemon', '.card'],
      ['diff?a=back-1&b=back-2', '.diff'],
    ]
    return { kit, screens }
  }
  const whole = async (page: Page, hash: string, ready: string) => {
    await page.locator(ready).first().waitFor().catch((e: Error) => { throw new Error(hash + ': ' + e.message) })
    await page.waitForFunction(() => document.querySelector('.notice') === null).catch(async () => expect([hash, await page.locator('.notice').allInnerTexts()]).toEqual([hash, []]))
  }

  test('the daemon is killed and comes back while the page is open', async () => {
    const own = await b.daemon()
    await own.register('long', [task('first', 'depot', 'hold'), task('second', 'depot', 'ok', { dependencies: ['first'] })])
    await own.worker('depot')
    await own.run('long', 'long-1')
    const page = await b.open(own, '#/run/long-1', { allow: lost })
    await page.locator('.banner li[data-code=running]').waitFor()
    await page.locator('.live.yes').waitFor()
    await own.kill()
    await page.getByText('The daemon does not answer. What is shown is as it was').waitFor()
    await page.locator('.step-list .row', { hasText: 'first' }).waitFor() // still there
    await own.start()
    await page.locator('.live.yes').waitFor()
    own.release('long-1', 'first')
    await page.locator('.run-head .state', { hasText: 'completed' }).waitFor()
    await page.getByText('The daemon does not answer').waitFor({ state: 'hidden' })
  })

  test('every screen that was opened while it was gone', async () => {
    const { kit, screens } = await prepared()
    const first = await b.open(kit, '#/nowhere', { allow: lost })
    const tabs: Page[] = []
    for (const _ of screens) {
      const tab = await first.context().newPage()
      await tab.goto(kit.url + '/#/nowhere')
      await tab.getByText('There is no such screen').waitFor()
      tabs.push(tab)
    }
    await kit.kill()
    for (const [i, tab] of tabs.entries()) {
      await tab.evaluate((hash) => void (location.hash = '/' + hash), screens[i]![0])
      await tab.locator('main .notice.bad', { hasText: /daemon does not answer/ }).first().waitFor()
    }
    await kit.start()
    for (const [i, tab] of tabs.entries()) await whole(tab, ...screens[i]!)
  })

  test('every answer that fails the first time, while the stream of events stays', async () => {
    const { kit, screens } = await prepared()
    const page = await b.open(kit, '#/nowhere', { allow: lost })
    await page.locator('.live.yes').waitFor()
    const met = new Set<string>()
    await page.route(/\/(v1\/|readyz|metrics|version)/, (route) => {
      const url = route.request().url()
      if (met.has(url)) return route.continue()
      met.add(url)
      if (met.size % 2) return route.abort('connectionreset')
      return route.fulfill({ status: 503, contentType: 'application/problem+json', body: '{"code": "busy", "detail": "too much at once"}' })
    })
    for (const screen of screens) {
      await page.evaluate((hash) => void (location.hash = '/' + hash), screen[0])
      await whole(page, ...screen)
    }
    expect(met.size).toBeGreaterThan(screens.length)
  })
})
