import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Kit, noBrowser, startBrowser, task, until, type Visit, visit } from './harness'

// What is done by hand says what it will do before it does it, and the history says why it was done.
describe.skipIf(noBrowser)('by hand, with a plan', () => {
  let browser: Browser
  let kit: Kit
  let v: Visit

  beforeAll(async () => {
    browser = await startBrowser()
    kit = await new Kit().start()
    const steps = [task('each', 'nobody', 'ok', { for_each: [1, 2] }), task('pay', 'nobody', 'ok'), task('ship', 'nobody', 'ok', { dependencies: ['pay'] })]
    await kit.register('orders', steps)
    await kit.run('orders', 'order-1')
    await kit.register('orders', [...steps, task('thank', 'nobody', 'ok', { dependencies: ['ship'] })])
    v = await visit(browser, kit.url, '')
  })
  afterAll(async () => {
    await browser?.close()
    await kit?.stop()
  })

  const dialog = () => v.page.getByRole('dialog')
  const plan = () => dialog().locator('dl.plan')
  const reasons = async (id: string, kind: string) =>
    ((await kit.ask('GET', `/v1/runs/${id}/events?limit=1000`)) as { events: { kind: string; data?: { reason?: string; by?: string } }[] }).events.filter((e) => e.kind === kind).map((e) => `${e.data?.reason} by ${e.data?.by}`)

  test('an item, a step, a retry and a fork', async () => {
    await v.page.goto(kit.url + '/#/run/order-1?step=' + encodeURIComponent('each[1]'))
    await v.page.locator('.pane').getByRole('button', { name: 'Skip…' }).click()
    await plan().getByText('each[1] skipped (operator)').waitFor()
    await dialog().getByLabel('Why').fill('not that one')
    await dialog().getByRole('button', { name: 'Skip step' }).click()
    await v.page.locator('.pane .facts .state', { hasText: 'skipped' }).waitFor()
    expect(await v.page.locator('.pane').getByRole('button', { name: 'Skip…' }).count()).toBe(0)

    await v.page.goto(kit.url + '/#/run/order-1?step=pay')
    await v.page.locator('.pane').getByRole('button', { name: 'Fail…' }).click()
    await plan().getByText('failed (it is running)').waitFor()
    await plan().getByText('pay failed (failed_by_operator)').waitFor()
    await dialog().getByLabel('Why').fill('no money')
    await dialog().getByRole('button', { name: 'Fail step' }).click()
    await until(async () => (await kit.state('order-1')) === 'failed', 'it failed')

    await v.page.locator('.banner').getByRole('button', { name: 'Retry run' }).click()
    await plan().getByText('open again, running (it is failed)').waitFor()
    await plan().getByText('may repeat outside').waitFor()
    await dialog().getByRole('button', { name: 'Close' }).click()
    expect(await kit.state('order-1')).toBe('failed')

    await v.page.locator('.run-head').getByRole('button', { name: 'Fork…' }).click()
    await plan().getByText('each (failed, or had not ended), pay (from here), ship (failed, or had not ended)').waitFor()
    await dialog().getByLabel('Version').selectOption('2')
    await plan().getByText('thank (is new)').waitFor()
    await dialog().getByLabel('Outputs').fill('{"each": 7}')
    await dialog().getByLabel('Id of the new run').fill('order-2')
    await dialog().getByLabel('Why').fill('with thanks')
    await plan().locator('dd', { hasText: /^each$/ }).first().waitFor()
    await dialog().getByRole('button', { name: 'Fork run' }).click()
    await v.page.locator('.run-head .id', { hasText: 'order-2' }).waitFor()
    await v.page.goto(kit.url + '/#/run/order-2?step=each')
    await v.page.locator('.pane .facts .kept', { hasText: 'set' }).waitFor()

    expect(await reasons('order-1', 'StepCorrected')).toEqual(['not that one by local', 'no money by local'])
    expect(await reasons('order-2', 'RunForked')).toEqual(['with thanks by local'])
    expect(v.wrong).toEqual([])
  })
})
