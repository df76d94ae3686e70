import type { Browser } from 'playwright-core'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { Kit, noBrowser, startBrowser, task, until, type Visit, visit } from './harness'

// What lists and keys show is what is so now, in the order that is drawn, and the address has all of it.
describe.skipIf(noBrowser)('lists', () => {
  let browser: Browser
  let kit: Kit
  let v: Visit | undefined
  const kits: Kit[] = []

  const daemon = async (...flags: string[]) => {
    const k = await new Kit(flags).start()
    kits.push(k)
    return k
  }
  const open = async (hash: string, o: Parameters<typeof visit>[3] = {}, k = kit) => (v = await visit(browser, k.url, hash, o)).page

  beforeAll(async () => {
    browser = await startBrowser()
    kit = await daemon()
    await kit.worker('shop')
  })
  afterEach(async () => {
    const wrong = v?.wrong ?? []
    await v?.close()
    v = undefined
    expect(wrong).toEqual([])
  })
  afterAll(async () => {
    await browser?.close()
    for (const k of kits) await k.stop()
  })

  const chosen = () => v!.page.locator('.pane .step-name').innerText()

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
})
