import { execFileSync } from 'node:child_process'
import type { Browser } from 'playwright-core'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { Kit, noBrowser, program, startBrowser, task, until, type Visit, visit } from './harness'

describe.skipIf(noBrowser)('schedules', () => {
  let browser: Browser
  let kit: Kit
  let v: Visit | undefined

  const put = (name: string, definition: unknown, k = kit, token = '') => k.ask('PUT', '/v1/schedules/' + name, definition, token)
  const forward = (by: string) => kit.ask('POST', '/v1/test-clock', { advance: by })
  const rows = async (name: string) => ((await kit.ask('GET', `/v1/schedules/${name}/ledger`)) as { rows: { outcome: string; run_id?: string }[] }).rows
  const open = async (hash: string, o: Parameters<typeof visit>[3] = {}, k = kit) => (v = await visit(browser, k.url, hash, o)).page

  beforeAll(async () => {
    browser = await startBrowser()
    kit = await new Kit().start()
    await kit.worker('shop')
    await kit.register('etl', [task('load', 'shop', 'ok')])
    await kit.register('slow', [{ name: 'wait', type: 'wait_signal', signal: { name: 'go' } }])
  })
  afterEach(async () => {
    const wrong = v?.wrong ?? []
    await v?.close()
    v = undefined
    expect(wrong).toEqual([])
  })
  afterAll(async () => {
    await browser?.close()
    await kit?.stop()
  })

  test('a paused schedule: the list says why, its banner has the button, and the next time starts a run', async () => {
    const page = await open('#/schedules')
    await page.getByRole('heading', { name: 'No schedules yet' }).waitFor()
    await page.locator('.live.yes').waitFor()
    const evil = '<img src=x onerror="document.title=1">'
    await put('hourly', { workflow: 'etl', every: '1h' })
    const row = page.locator('table.schedules tbody tr', { hasText: 'hourly' })
    await row.getByText('active').waitFor()
    await row.getByText('every 1 h').waitFor()
    await kit.ask('POST', '/v1/schedules/hourly/pause', { note: 'the bank moves ' + evil })
    await row.getByText('paused by local: the bank moves ' + evil).waitFor()
    await forward('1h')
    await until(async () => (await rows('hourly'))[0]?.outcome === 'paused', 'its time comes')
    await page.keyboard.press('j')
    await page.keyboard.press('Enter')
    const line = page.locator('.banner li[data-code=paused]')
    await line.getByText('it is paused since').waitFor()
    await page.locator('.calendar td', { hasText: '1 paused' }).first().waitFor()
    await line.getByRole('button', { name: 'Resume' }).click()
    const dialog = page.getByRole('dialog')
    expect(await dialog.locator('.command code').innerText()).toBe(`agnt5d schedules resume hourly --url ${kit.url}`)
    await dialog.getByRole('button', { name: 'Resume schedule' }).click()
    await line.waitFor({ state: 'hidden' })
    await forward('1h')
    await page.locator('table.grid tr', { hasText: /fired|caught up/ }).getByRole('link', { name: /^hourly-20/ }).first().click()
    await page.locator('.run-head .state', { hasText: 'completed' }).waitFor()
    expect(await page.title()).not.toBe('1')
  })

  test('a schedule whose workflow is missing, and one whose run goes on', async () => {
    await put('orphan', { workflow: 'later', every: '1h' })
    await forward('1h')
    await until(async () => (await rows('orphan'))[0]?.outcome === 'start_failed', 'it cannot start')
    const page = await open('#/schedules?name=orphan')
    const row = page.locator('table.schedules tbody tr', { hasText: 'orphan' })
    await row.getByText('there is no workflow "later"').waitFor()
    await row.getByRole('link', { name: 'orphan' }).click()
    const lines = page.locator('.banner li')
    await lines.locator('text=there is no workflow').first().waitFor()
    await page.getByRole('button', { name: 'Show such times' }).click()
    await page.locator('table.grid tr', { hasText: 'start failed' }).getByText('workflow_not_found').waitFor()
    expect(page.url()).toContain('outcome=start_failed')
    await page.reload()
    await page.locator('table.grid tr', { hasText: 'start failed' }).getByText('workflow_not_found').waitFor()
    await kit.register('later', [{ name: 'wait', type: 'wait_signal', signal: { name: 'go' } }])
    await page.locator('.banner li[data-code=workflow_not_found]').waitFor({ state: 'hidden' })
    await forward('1h')
    const waits = page.locator('.banner li[data-code=waits_for_run]')
    await waits.getByRole('button', { name: /^Open run orphan-20/ }).click()
    await page.locator('.banner li[data-code=signal]').getByRole('button', { name: 'Send signal go' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Send signal' }).click()
    await page.locator('.run-head .state', { hasText: 'completed' }).waitFor()
    await page.goBack()
    await page.getByText('Runs in flight').waitFor()
    await waits.waitFor({ state: 'hidden' })
  })

  test('by keyboard: paused, triggered, backfilled after a count, deleted', async () => {
    await put('nightly', { workflow: 'slow', cron: ['30 2 * * *'], time_zone: 'Europe/Berlin', overlap: 'allow' })
    const page = await open('#/schedule/nightly')
    await page.locator('section', { hasText: 'Next times' }).locator('tr').nth(4).waitFor()
    const press = async (name: string) => {
      await page.getByRole('button', { name, exact: true }).focus()
      await page.keyboard.press('Enter')
    }
    await press('Pause…')
    await page.getByRole('dialog', { name: 'Pause nightly' }).getByLabel('Note').waitFor()
    await page.keyboard.type('a note')
    await page.keyboard.press('Enter')
    await page.locator('.banner li[data-code=paused]', { hasText: 'a note' }).waitFor()
    await press('Trigger…')
    const dialog = page.getByRole('dialog')
    await dialog.locator('textarea').fill('{"n": 12345678901234567890}')
    expect(await dialog.locator('.command code').innerText()).toBe(`agnt5d schedules trigger nightly --input '{"n": 12345678901234567890}' --url ${kit.url}`)
    await dialog.getByRole('button', { name: 'Trigger now' }).focus()
    await page.keyboard.press('Enter')
    await page.locator('.run-head', { hasText: 'nightly-trigger-' }).waitFor()
    await page.locator('.tabs').getByText('Input / Output').click()
    await page.locator('.tab').getByText('12345678901234567890').waitFor()
    await page.goBack()
    await page.goBack()
    await page.locator('table.grid tr', { hasText: 'triggered' }).getByText('by local').waitFor()

    await press('Backfill…')
    const form = page.getByRole('form', { name: 'Backfill' })
    await form.getByLabel('From').fill('2026-10-24T12:00')
    await form.getByLabel('to', { exact: true }).fill('2026-10-26T12:00')
    await form.getByLabel('How they run').selectOption('allow')
    await form.getByRole('button', { name: 'Count the times' }).focus()
    await page.keyboard.press('Enter')
    await page.getByRole('dialog', { name: 'Backfill 2 times' }).getByRole('button', { name: 'Start them' }).focus()
    await page.keyboard.press('Enter')
    await until(async () => (await rows('nightly')).filter((r) => r.outcome === 'backfilled').length === 2, 'they are started')
    await page.locator('table.grid tr', { hasText: '2026-10-25 02:30 +02:00' }).getByText('02:30 happens twice: clocks go back, the first is taken').waitFor()
    await page.locator('.notice', { hasText: 'is under way' }).waitFor({ state: 'hidden' })

    await press('Delete…')
    expect(await page.getByRole('dialog').getByRole('button', { name: 'Delete schedule' }).isDisabled()).toBe(true)
    await page.keyboard.type('nightly')
    await page.keyboard.press('Enter')
    await page.locator('table.schedules').waitFor()
    expect(await page.getByText('nightly').count()).toBe(0)
  })

  test('what is offered is what the access token allows', async () => {
    const own = await new Kit().start()
    try {
      const token = (name: string, scope: string, key = '') => execFileSync(program(), ['token', 'create', name, '--scope', scope, '--url', own.url], { env: { ...process.env, AGNT5_API_KEY: key }, stdio: ['ignore', 'pipe', 'ignore'] }).toString().trim()
      const admin = token('root', 'admin')
      await put('hourly', { workflow: 'etl', every: '1h' }, own, admin)
      await own.ask('POST', '/v1/schedules/hourly/pause', {}, admin)
      const page = await open('#/schedule/hourly', { allow: /401/ }, own)
      for (const [name, scope, want] of [['ann', 'read', []], ['bob', 'operate', ['Backfill…', 'Trigger…']], ['eve', 'admin', ['Backfill…', 'Delete…', 'Resume', 'Resume and catch up…', 'Trigger…']]] as const) {
        await page.getByLabel('Access token').fill(token(name, scope, admin))
        await page.getByRole('button', { name: 'Sign in' }).click()
        await page.locator('.banner li[data-code=paused]').waitFor()
        expect((await page.getByRole('button', { name: /^(Pause|Resume|Backfill|Delete|Trigger)/ }).allInnerTexts()).sort()).toEqual(want)
        await page.getByRole('button', { name: 'Sign out ' + name }).click()
      }
      await page.getByLabel('Access token').waitFor()
    } finally {
      await own.stop()
    }
  })
})
