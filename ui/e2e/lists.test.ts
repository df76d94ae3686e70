import type { Page } from 'playwright-core'
import { beforeAll, describe, expect, test } from 'vitest'
import { browsing } from './browsing'
import { type Kit, type Look, noBrowser, task, until } from './harness'

// What lists and keys show is what is so now, in the order that is drawn, and the address has all of it.
describe.skipIf(noBrowser)('lists', () => {
  const b = browsing()
  let kit: Kit

  const open = (hash: string, o: Look = {}, k = kit) => b.open(k, hash, o)

  beforeAll(async () => {
    kit = await b.daemon()
    await kit.worker('shop')
  })

  const rows = (page: Page) => page.locator('.rows .tr .id').allInnerTexts()
  const shows = async (page: Page, want: string[]) => {
    await until(async () => String(await rows(page)) === String(want), `the rows ${want}`, 15_000).catch(async (e) => {
      throw new Error(`${e}; they are ${await rows(page)}`)
    })
  }
  const chosen = () => b.visit.page.locator('.pane .step-name').innerText()

  test('j, k and . go through the steps in the order that is drawn, and what is searched stands in the address', async () => {
    const wait = (name: string) => ({ name, type: 'wait_signal', signal: { name } })
    await kit.register('order', [task('zulu', 'shop', 'ok'), wait('mike'), task('alpha', 'nobody', 'ok'), wait('kilo'), { name: 'bravo', type: 'wait_timer', timer: { key: 'bravo', delay_ms: 86_400_000 } }])
    await kit.run('order', 'order-1')
    await until(async () => (await kit.step('order-1', 'zulu')) === 'completed', 'zulu completes')
    let page = await open('#/run/order-1')
    const next = async (key: string, want: string) => {
      await page.keyboard.press(key)
      await page.locator('.pane .step-name', { hasText: want }).waitFor()
    }
    await page.locator('.pane .step-name', { hasText: 'alpha' }).waitFor() // opened on what the banner says first
    const banner = await page.locator('.banner li .text .linkish').allInnerTexts()
    expect(banner[0]).toBe('alpha')
    for (const want of [...banner.slice(1), 'alpha']) await next('.', want)
    await page.keyboard.press('Escape')
    const drawn = await page.locator('.step-list .name').allInnerTexts()
    expect(drawn).toEqual(['zulu', 'mike', 'alpha', 'kilo', 'bravo'])
    for (const want of drawn) await next('j', want)
    await next('k', 'kilo')

    await page.getByLabel('Hide completed').check()
    await page.getByLabel('Find a step').fill('l')
    await page.locator('.step-list .row').nth(1).waitFor()
    expect(await page.locator('.step-list .name').allInnerTexts()).toEqual(['alpha', 'kilo'])
    await page.keyboard.press('Escape')
    await next('k', 'alpha')
    await page.keyboard.press('k')
    expect(await chosen()).toBe('alpha')
    await page.reload()
    await page.locator('.step-list .row').nth(1).waitFor()
    expect(await page.locator('.step-list .name').allInnerTexts()).toEqual(['alpha', 'kilo'])
    expect(await page.getByLabel('Hide completed').isChecked()).toBe(true)
    expect(await page.getByLabel('Find a step').inputValue()).toBe('l')

    await page.locator('.tabs').getByText('Timeline').click()
    await page.locator('.lane').nth(3).waitFor()
    await page.keyboard.press('Escape')
    await page.locator('.pane').waitFor({ state: 'hidden' })
    for (const want of await page.locator('.lane .name').allInnerTexts()) await next('j', want.trim())

    await page.locator('.tabs').getByText('Events').click()
    await page.getByLabel('Kind or step').fill('zulu')
    await page.getByText(/^3 of/).waitFor()
    await page.reload()
    await page.getByText(/^3 of/).waitFor()
    await page.goto(kit.url + '/#/workflows')
    await page.getByLabel('Name').fill('order')
    await page.getByRole('link', { name: 'order', exact: true }).click()
    await page.locator('.node').first().waitFor()
    await page.goBack()
    expect(await page.getByLabel('Name').inputValue()).toBe('order')
  })
  test('runs come into a filtered list and leave it by themselves', async () => {
    const own = await b.daemon()
    const wait = [{ name: 'wait', type: 'wait_signal', signal: { name: 'go' } }]
    await own.register('one', wait)
    await own.register('other', wait)
    for (const n of [1, 2, 3]) await own.run('one', 'one-' + n)
    const page = await open('#/runs?workflow=one&state=running', {}, own)
    await page.locator('.live.yes').waitFor()
    await shows(page, ['one-3', 'one-2', 'one-1'])
    await own.ask('POST', '/v1/runs/one-2/cancel', { reason: 'ordered twice' })
    await shows(page, ['one-3', 'one-1'])
    await own.ask('POST', '/v1/runs/one-2/retry')
    await shows(page, ['one-3', 'one-2', 'one-1'])
    await own.run('one', 'one-4')
    await own.ask('POST', '/v1/runs/one-1/signals/go', {})
    await shows(page, ['one-4', 'one-3', 'one-2'])

    // What others do neither moves the list nor is called new, and asks for little.
    let asked = 0
    page.on('request', (r) => (asked += /\/v1\/runs\?/.test(r.url()) ? 1 : 0))
    await page.keyboard.press('j')
    await page.keyboard.press('j') // one-3
    for (let i = 0; i < 20; i++) await own.run('other', 'other-' + i)
    await own.run('one', 'one-5')
    await shows(page, ['one-5', 'one-4', 'one-3', 'one-2'])
    expect(asked).toBeLessThan(8)
    expect(await page.locator('.rows .tr.on .id').innerText()).toBe('one-3') // the run stays chosen, wherever it stands

    // While the pointer is on the rows none moves: they are marked, and counted.
    await page.locator('.rows .tr', { hasText: 'one-4' }).hover()
    await own.ask('POST', '/v1/runs/one-4/cancel', { reason: 'late' })
    await own.run('one', 'one-6')
    await page.getByRole('button', { name: '1 new, 1 gone' }).waitFor()
    expect(await rows(page)).toEqual(['one-5', 'one-4', 'one-3', 'one-2'])
    expect(await page.locator('.rows .tr.gone').innerText()).toContain('one-4')
    await page.mouse.move(5, 5)
    await shows(page, ['one-6', 'one-5', 'one-3', 'one-2'])

    // The chosen row goes: the next key begins where it was.
    await own.ask('POST', '/v1/runs/one-3/cancel')
    await shows(page, ['one-6', 'one-5', 'one-2'])
    await page.keyboard.press('j')
    expect(await page.locator('.rows .tr.on .id').innerText()).toBe('one-2')

    await page.goto(own.url + '/#/runs?state=cancelled&workflow=one')
    await shows(page, ['one-4', 'one-3'])
    expect(await page.locator('.rows .why').allInnerTexts()).toEqual(['late', 'cancelled'])
    await own.ask('DELETE', '/v1/runs/one-4')
    await shows(page, ['one-3'])
    await page.goto(own.url + '/#/runs?stuck_for=1h&include=signals&workflow=one')
    await page.getByText('No run matches').waitFor()
    await own.ask('POST', '/v1/test-clock', { advance: '2h' })
    await shows(page, ['one-6', 'one-5', 'one-2'])
    await own.ask('POST', '/v1/runs/one-5/signals/go', {})
    await shows(page, ['one-6', 'one-2'])
  })
  test('a workflow offers the versions that there are, and learns of new ones', async () => {
    const version = (n: number) => kit.register('holes', [{ name: 'step-' + n, type: 'wait_signal', signal: { name: 'go' } }])
    for (const n of [1, 2, 3]) await version(n)
    await kit.ask('DELETE', '/v1/workflows/holes?version=1')
    const page = await open('#/workflow/holes', { allow: /404/ })
    const offered = (label: string) => page.getByLabel(label, { exact: true }).locator('option').allInnerTexts()
    await page.locator('.node', { hasText: 'step-3' }).waitFor()
    await page.locator('.live.yes').waitFor()
    expect(await offered('Version')).toEqual(['version 3 (current)', 'version 2'])
    await version(4)
    await page.locator('.node', { hasText: 'step-4' }).waitFor()
    expect(await offered('Version')).toEqual(['version 4 (current)', 'version 3', 'version 2'])
    await page.getByLabel('Version', { exact: true }).selectOption('3')
    await page.locator('.node', { hasText: 'step-3' }).waitFor()
    await page.getByRole('link', { name: 'Compare versions' }).click()
    await page.locator('.diff .minus', { hasText: 'step-2' }).waitFor()
    expect(await offered('The other version')).toEqual(['version 4', 'version 2'])
    await kit.ask('PUT', '/v1/workflows/holes/current', { version: 3 })
    await until(async () => (await offered('Version'))[1] === 'version 3 (current)', 'the page learns which is current')
    await kit.ask('DELETE', '/v1/workflows/holes?version=2')
    await page.locator('.diff .minus', { hasText: 'step-4' }).waitFor()
    await page.goto(kit.url + '/#/workflow/holes?version=1')
    await page.getByText('has no version 1; it has 3, 4').waitFor()
    await page.getByRole('link', { name: 'Show the current version' }).click()
    await page.locator('.node', { hasText: 'step-3' }).waitFor()
    await page.goto(kit.url + '/#/workflows')
    await page.locator('tr', { hasText: 'holes' }).waitFor()
    await kit.register('newcomer', [task('a', 'shop', 'ok')])
    await page.locator('tr', { hasText: 'newcomer' }).waitFor()
  })
  test.each([480, 760])('in a window of %d pixels the lists say why, and nothing is cut off', async (width) => {
    await kit.register('narrow', [task('greet', 'nobody', 'ok')])
    await kit.run('narrow', 'narrow-' + width)
    const page = await open('#/runs', { width })
    const why = page.locator('.rows .tr', { hasText: 'narrow-' + width }).locator('.why')
    await why.getByText('waits for a worker').waitFor()
    expect((await why.boundingBox())!.width).toBeGreaterThan(width * 0.4)
    for (const screen of ['runs', 'workflows', 'schedules', 'workers', 'objects', 'daemon']) {
      await page.goto(kit.url + '/#/' + screen)
      await page.locator('main').waitFor()
      const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)
      expect([screen, over]).toEqual([screen, 0])
      expect(await page.getByRole('button', { name: 'Help' }).isVisible()).toBe(true)
      expect((await page.locator('header.top').boundingBox())!.height).toBe(40)
    }
  })
})
