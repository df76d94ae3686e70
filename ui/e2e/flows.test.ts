import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { browsing } from './browsing'
import { type Kit, noBrowser, program, repository, task, until } from './harness'

describe.skipIf(noBrowser)('the page', () => {
  const b = browsing()
  let kit: Kit

  const open = b.open

  beforeAll(async () => {
    kit = await b.daemon()
    await kit.worker('shop')
  })

  test('a first visit says how to begin, and a run appears by itself', async () => {
    const fresh = await b.daemon()
    const page = await open(fresh, '')
    await page.getByRole('heading', { name: 'No runs yet' }).waitFor()
    await fresh.register('hello', [task('hello', 'greeter', 'ok')])
    await fresh.worker('greeter')
    await fresh.run('hello', 'hello-1')
    await page.locator('.rows .tr', { hasText: 'hello-1' }).locator('.state', { hasText: 'completed' }).waitFor()
  })

  test('a run is started by the form, and watched to its end', async () => {
    await kit.register('start', [task('one', 'shop', 'echo'), task('two', 'shop', 'hold', { dependencies: ['one'] })])
    const page = await open(kit, '#/workflow/start')
    await page.locator('.node').first().waitFor()
    await page.getByRole('button', { name: 'Start a run…' }).click()
    const dialog = page.getByRole('dialog')
    await dialog.getByLabel('Id').fill('form-1')
    await dialog.getByLabel('Input').fill('{"big": 12345678901234567890}')
    await dialog.getByRole('button', { name: 'Start run' }).click()
    await page.locator('.banner li[data-code=running]').waitFor()
    await page.locator('.tabs').getByText('Input / Output').click()
    await page.locator('.tab').getByText('12345678901234567890').waitFor() // every digit
    kit.release('form-1', 'two')
    await page.locator('.run-head .state', { hasText: 'completed' }).waitFor()
  })

  test('the slider shows the run as of each event, and what follows now only counts', async () => {
    await kit.register('travel', [task('one', 'shop', 'ok'), task('two', 'shop', 'flaky', { dependencies: ['one'], retry: { initial_interval_ms: 1 } }), { name: 'three', type: 'wait_signal', dependencies: ['two'], signal: { name: 'go' } }])
    await kit.run('travel', 'travel-1')
    await until(async () => (await kit.step('travel-1', 'three')) === 'waiting', 'it waits')
    const { events } = (await kit.ask('GET', '/v1/runs/travel-1/events')) as { events: { seq: number; n: number; kind: string }[] }
    const page = await open(kit, `#/run/travel-1?at=${events[0]!.seq}`)
    const names: Record<string, string> = { scheduled: 'queued', timed_out: 'timed out' }
    for (const e of events) {
      await page.locator('.travel .strip', { hasText: `event ${e.n} of ${events.length}` }).waitFor()
      expect(page.url()).toContain('at=' + e.seq)
      const then = (await kit.ask('GET', `/v1/runs/travel-1?at=${e.seq}`)) as { steps: Record<string, { state: string }> }
      for (const [name, s] of Object.entries(then.steps)) {
        await page.locator('.step-list .row', { hasText: name }).getByText(names[s.state] ?? s.state, { exact: true }).waitFor()
      }
      if (e !== events[events.length - 1]) await page.keyboard.press(']')
    }
    await kit.ask('POST', '/v1/runs/travel-1/signals/go', { payload: 1 })
    await page.locator('.strip').getByText(/^[1-9]\d* later$/).waitFor()
    await page.locator('.step-list .row', { hasText: 'three' }).getByText('waiting', { exact: true }).waitFor() // the past stays
    await page.getByRole('button', { name: 'Back to now' }).click()
    await page.locator('.step-list .row', { hasText: 'three' }).getByText('completed', { exact: true }).waitFor()
    await page.locator('.tabs').getByText('Timeline').click()
    await page.locator('.lane').nth(2).waitFor()
    expect(await page.locator('.lane', { hasText: 'two' }).locator('.b.t-bad').count()).toBe(1)
    await page.locator('.tabs').getByText('Events').click()
    await page.locator('.events .rows .tr').first().waitFor()
  })

  test('what a handler wrote to its log is shown while it works, and as it was', async () => {
    await kit.register('talks', [task('pay', 'shop', 'talk'), { name: 'go', type: 'wait_signal', dependencies: ['pay'], signal: { name: 'go' } }])
    await kit.run('talks', 'talks-1')
    const page = await open(kit, '#/run/talks-1?step=pay')
    const log = page.locator('.pane .logs pre')
    await log.getByText('looked up <b>account</b> 17').waitFor()
    kit.release('talks-1', 'pay')
    await log.getByText('paid').waitFor()
    const { events } = (await kit.ask('GET', '/v1/runs/talks-1/events')) as { events: { seq: number; kind: string }[] }
    await page.goto(`${kit.url}/#/run/talks-1?step=pay&at=${events.find((e) => e.kind === 'StepScheduled')!.seq}`)
    await page.locator('.travel.past').waitFor()
    await page.locator('.pane .logs').waitFor({ state: 'hidden' }) // it had written nothing yet
    await page.goto(`${kit.url}/#/run/talks-1?step=pay&at=${events.find((e) => e.kind === 'StepCompleted')!.seq}`)
    await log.getByText('paid').waitFor()
  })

  test('a large payload is shown in part, and saved whole', async () => {
    const own = await b.daemon()
    await own.register('large', [{ name: 'wait', type: 'wait_signal', signal: { name: 'never' } }])
    const input = { text: 'x'.repeat(300_000), n: 7 }
    await own.run('large', 'large-1', input)
    const page = await open(own, '#/run/large-1/data')
    expect((await page.locator('.preview').innerText()).length).toBeLessThan(5_000)
    const saved = page.waitForEvent('download')
    await page.getByRole('button', { name: 'Download' }).click()
    expect(JSON.parse(readFileSync(await (await saved).path(), 'utf8'))).toEqual(input)
  })

  test('every run that the filters name is cancelled, once their number was seen', async () => {
    await kit.register('many', [{ name: 'wait', type: 'wait_signal', signal: { name: 'never' } }])
    for (let i = 0; i < 101; i++) await kit.run('many', 'many-' + i)
    const page = await open(kit, '#/runs?workflow=many&state=running')
    await page.getByLabel('Choose all that are shown').check()
    await page.getByText('100 runs chosen').waitFor()
    await page.getByRole('button', { name: 'Choose all that match' }).click()
    await page.getByRole('group', { name: 'Chosen runs' }).getByRole('button', { name: 'Cancel…' }).click()
    const dialog = page.getByRole('dialog', { name: 'Cancel 101 runs' })
    await dialog.getByLabel('Reason').fill('too many')
    expect(await dialog.locator('.command code').innerText()).toBe(`agnt5d cancel --all --workflow many --state running --reason 'too many' --url ${kit.url}`)
    expect(await dialog.getByRole('button', { name: 'Cancel all' }).isDisabled()).toBe(true)
    await dialog.getByLabel('Type 101 to confirm').fill('101')
    await dialog.getByRole('button', { name: 'Cancel all' }).click()
    await until(async () => (await kit.state('many-100')) === 'cancelled', 'the last is cancelled')
    await page.goto(kit.url + '/#/runs?workflow=many&state=cancelled')
    await page.locator('.rows .tr').nth(5).waitFor()
  })

  test('a list of a hundred open runs takes few requests', async () => {
    const own = await b.daemon()
    await own.register('many', [{ name: 'wait', type: 'wait_signal', signal: { name: 'never' } }])
    for (let i = 0; i < 100; i++) await own.run('many', 'many-' + i)
    const page = await open(own, '#/none')
    await page.locator('.live.yes').waitFor()
    const asked: string[] = []
    page.on('request', (r) => asked.push(r.url().replace(own.url, '')))
    await page.evaluate(() => void (location.hash = '/runs'))
    await page.locator('.rows .why', { hasText: 'waits for signal "never"' }).nth(10).waitFor()
    expect(asked.length, asked.join('\n')).toBeLessThanOrEqual(6)
    asked.length = 0
    await own.ask('POST', '/v1/runs/many-99/signals/never', {})
    await page.locator('.rows .tr', { hasText: 'many-99' }).locator('.state', { hasText: 'completed' }).waitFor()
    expect(asked.filter((a) => /\/v1\/runs\//.test(a)), asked.join('\n')).toEqual(['/v1/runs/many-99?steps=none']) // only what something happened to
  })

  test('some runs are ticked, by mouse and by key, cancelled and deleted; what cannot be done is named', async () => {
    await kit.register('some', [{ name: 'wait', type: 'wait_signal', signal: { name: 'never' } }])
    for (const n of [1, 2, 3, 4]) await kit.run('some', 'some-' + n)
    const page = await open(kit, '#/runs?workflow=some', { allow: /409/ })
    const bar = page.getByRole('group', { name: 'Chosen runs' })
    await page.getByLabel('Choose some-1').check()
    await page.getByLabel('Choose some-2').check()
    await page.keyboard.press('j') // some-4
    await page.keyboard.press('x')
    await bar.getByText('3 runs chosen').waitFor()
    await page.keyboard.press('x')
    await bar.getByText('2 runs chosen').waitFor()
    expect(page.url()).not.toContain('/run/') // a tick does not open the run
    await kit.ask('POST', '/v1/runs/some-2/signals/never', {}) // meanwhile it completes
    const dialog = page.getByRole('dialog')
    await bar.getByText('Cancel 1…').click()
    expect(await dialog.locator('.command code').innerText()).toBe(`agnt5d cancel some-1 --url ${kit.url}`)
    await dialog.getByRole('button', { name: 'Cancel run' }).click()
    await until(async () => (await kit.state('some-1')) === 'cancelled', 'it is cancelled')
    await bar.waitFor({ state: 'hidden' })
    for (const n of [1, 2]) await page.getByLabel('Choose some-' + n).check()
    await bar.getByText('Delete 2…').click()
    await kit.ask('POST', '/v1/runs/some-1/retry')
    expect(await dialog.getByRole('button', { name: 'Delete all' }).isDisabled()).toBe(true)
    await dialog.getByLabel('Type 2 to confirm').fill('2')
    await dialog.getByRole('button', { name: 'Delete all' }).click()
    await dialog.getByText('1 of 2 runs refused it').waitFor()
    await dialog.locator('li', { hasText: 'some-1' }).waitFor()
    await dialog.getByRole('button', { name: 'Close' }).click()
    await page.goto(kit.url + '/#/runs?workflow=some&state=completed')
    await page.getByText('No run matches').waitFor()
  })

  test('two runs are compared: where they part, what differs', async () => {
    await kit.register('pair', [task('one', 'shop', 'echo'), { name: 'go', type: 'wait_signal', dependencies: ['one'], signal: { name: 'go' } }])
    for (const n of [1, 2]) {
      await kit.run('pair', 'pair-' + n, { n })
      await until(async () => (await kit.step('pair-' + n, 'go')) === 'waiting', 'it waits')
    }
    await kit.ask('POST', '/v1/runs/pair-1/signals/go', { payload: 1 })
    await kit.ask('POST', '/v1/runs/pair-2/cancel', { reason: 'enough' })
    const page = await open(kit, '#/run/pair-1')
    await page.locator('.run-head').getByRole('link', { name: 'Compare…' }).click()
    await page.getByLabel('The other run').fill('pair-2')
    await page.keyboard.press('Enter')
    await page.locator('.banner.where h2', { hasText: 'They part at' }).waitFor()
    await page.locator('tr', { hasText: 'go' }).filter({ hasText: 'cancelled' }).first().waitFor()
    await page.locator('.diff .minus', { hasText: '"n": 1' }).waitFor()
    await page.locator('.diff .plus', { hasText: '"n": 2' }).waitFor()
    await page.locator('tr', { hasText: 'one' }).getByRole('button', { name: 'Compare outputs' }).click()
    await page.locator('td .diff .plus', { hasText: '"n": 2' }).waitFor()
  })

  test('the daemon\'s own figures are all there', async () => {
    await kit.register('own', [task('one', 'shop', 'ok')])
    await kit.run('own', 'own-1')
    const page = await open(kit, '#/daemon')
    await page.getByText('Ready: requests are worth sending').waitFor()
    const names = ['Open runs', 'Of them stuck', 'Steps that wait for a worker', 'Workers', 'Journal', 'Free on its disk', 'Commit, mean', 'Damaged records', 'Running since', 'Memory']
    await page.locator('dl.settings', { hasText: 'test-clock' }).waitFor()
    for (const name of names) await page.locator('.card', { hasText: name }).locator('b', { hasText: /\d/ }).waitFor()
  })

  test('names, payloads and errors from outside stay text', async () => {
    const evil = '<img src=x onerror="document.title=\'taken\'"><script>document.title="taken"</script>'
    await kit.register('hostile', [task('echo', 'shop', 'echo', { object_keys: [`<b>key</b>${evil}`], input_data: { [evil]: evil } }), task('pay', 'shop', 'broken', { dependencies: ['echo'] })])
    const id = 'a/b[1]#2:..%'.replace('%', '')
    await kit.run('hostile', id, { [evil]: [evil, { __proto__x: evil }], html: '</script><svg onload=alert(1)>', bidi: '\u202eabc', deep: JSON.parse('['.repeat(50) + ']'.repeat(50)) })
    await until(async () => (await kit.state(id)) === 'failed', 'it failed')
    await kit.ask('POST', `/v1/runs/${encodeURIComponent(id)}/retry`)
    await kit.ask('POST', `/v1/runs/${encodeURIComponent(id)}/cancel`, { reason: evil }).catch(() => undefined)
    const page = await open(kit, '#/runs')
    await page.getByRole('link', { name: id, exact: true }).click()
    for (const tab of ['Graph', 'Timeline', 'Events', 'Input / Output', 'Definition']) {
      await page.locator('.tabs').getByText(tab, { exact: true }).click()
      await page.locator('.tab > *').first().waitFor()
    }
    await page.goto(kit.url + '/#/run/' + encodeURIComponent(id) + '/graph?step=echo')
    await page.locator('.pane', { hasText: '<img src=x' }).waitFor()
    await page.goto(kit.url + '/#/objects')
    await page.locator('table.grid, .empty').first().waitFor()
    for (const hash of ['#/run/<img src=x onerror=alert(1)>', '#/workflow/%3Cb%3E', '#/%3Cscript%3E', '#/runs?workflow=%3Cb%3E']) {
      b.visit.wrong.length = 0 // these places do not exist: their 404 and 400 are meant
      await page.goto(kit.url + '/' + hash)
      await page.locator('main').waitFor()
      await page.locator('.notice.bad, .empty').first().waitFor()
    }
    expect(b.visit.wrong.filter((w) => !/status of 40[04]/.test(w))).toEqual([])
    b.visit.wrong.length = 0
    expect(await page.title()).not.toContain('taken')
    expect(await page.locator('img, iframe, object, embed, script:not([src="/ui/app.js"])').count()).toBe(0)
  })

  test('ten thousand steps: a bounded number of elements, the failed one is found', async () => {
    const steps = [task('begin', 'shop', 'ok')]
    for (let i = 0; i < 9_998; i++) steps.push(task('part-' + i, i === 4_711 ? 'shop' : 'nobody', i === 4_711 ? 'broken' : 'ok', { dependencies: ['begin'], ...(i === 4_711 ? { retry: { max_attempts: 1 } } : {}) }))
    steps.push(task('end', 'shop', 'ok', { dependencies: steps.slice(1).map((s) => s.name) }))
    await kit.register('wide', steps)
    await kit.run('wide', 'wide-1')
    await until(async () => (await kit.state('wide-1')) === 'failed', 'part 4711 fails', 60_000)
    const page = await open(kit, '#/run/wide-1')
    await page.locator('.banner.bad', { hasText: 'part-4711' }).waitFor({ timeout: 60_000 })
    await page.locator('.node').first().waitFor({ timeout: 60_000 })
    expect(await page.evaluate(() => document.querySelectorAll('*').length)).toBeLessThan(4_000)
    expect(await page.locator('.graph svg *').count()).toBeLessThanOrEqual(3_000)
    await page.locator('.pane', { hasText: 'card refused' }).waitFor()
    await page.getByLabel('Find a step').fill('part-4711')
    await page.locator('.step-list .row', { hasText: 'part-4711' }).waitFor()
    expect(await page.locator('.step-list .row').count()).toBe(1)
    for (const tab of ['Timeline', 'Events']) {
      await page.locator('.tabs').getByText(tab).click()
      await page.locator('.lane, .events .rows .tr').first().waitFor({ timeout: 60_000 })
      expect(await page.evaluate(() => document.querySelectorAll('*').length)).toBeLessThan(4_000)
    }
  })

  test('by keyboard alone: find, open, look, cancel', async () => {
    await kit.register('keys', [{ name: 'wait', type: 'wait_signal', signal: { name: 'never' } }])
    for (const n of [1, 2, 3]) await kit.run('keys', 'keys-' + n)
    const page = await open(kit, '#/runs')
    await page.locator('.rows .tr', { hasText: 'keys-1' }).waitFor()
    await page.keyboard.press('/')
    await page.keyboard.type('keys-')
    await page.waitForFunction(() => document.querySelectorAll('.rows .tr').length === 3)
    await page.keyboard.press('Escape')
    await page.keyboard.press('j')
    await page.keyboard.press('j')
    await page.keyboard.press('k')
    await page.keyboard.press('j')
    await page.keyboard.press('Enter')
    await page.locator('.run-head', { hasText: 'keys-2' }).waitFor()
    await page.keyboard.press('?')
    await page.getByRole('dialog', { name: 'Keys' }).waitFor()
    await page.keyboard.press('Escape')
    await page.keyboard.press('.')
    await page.locator('.pane .step-name', { hasText: 'wait' }).waitFor()
    await page.getByRole('button', { name: 'Cancel…' }).focus()
    await page.keyboard.press('Enter')
    await page.waitForFunction(() => !!document.activeElement?.closest('[role=dialog], dialog') && /^(INPUT|TEXTAREA)$/.test(document.activeElement.tagName))
    await page.keyboard.type('not needed')
    await page.keyboard.press('Enter')
    await page.locator('.banner', { hasText: 'Cancelled: not needed' }).waitFor()
    await page.getByRole('button', { name: 'Delete…' }).focus()
    await page.keyboard.press('Enter')
    const dialog = page.getByRole('dialog')
    expect(await dialog.getByRole('button', { name: 'Delete run' }).isDisabled()).toBe(true)
    await page.keyboard.type('keys-2')
    await page.keyboard.press('Enter')
    await page.locator('.rows .tr').first().waitFor()
    expect(await page.getByText('keys-2').count()).toBe(0)
  })

  test('read-only: everything is shown, nothing is offered', async () => {
    const own = await b.daemon('--ui-read-only')
    await own.register('keys', [{ name: 'wait', type: 'wait_signal', signal: { name: 'never' } }])
    await own.run('keys', 'keys-1')
    const page = await open(own, '#/run/keys-1')
    await page.locator('.banner li[data-code=signal]').waitFor()
    await page.locator('.pane .step-name').waitFor()
    expect(await page.getByRole('button', { name: /Send|Cancel|Retry|Delete|Start/ }).count()).toBe(0)
    await page.goto(own.url + '/#/daemon')
    await page.locator('dl.settings', { hasText: 'test-clock' }).waitFor() // nobody asks for a token here: they are shown
  })

  test('with access tokens: signing in, and what the scope allows', async () => {
    const own = await b.daemon()
    await own.register('keys', [{ name: 'wait', type: 'wait_signal', signal: { name: 'never' } }])
    await own.run('keys', 'keys-1')
    const token = (name: string, scope: string, key = '') => execFileSync(program(), ['token', 'create', name, '--scope', scope, '--url', own.url], { env: { ...process.env, AGNT5_API_KEY: key } }).toString().trim()
    const admin = token('root', 'admin')
    const reader = token('ann', 'read', admin)
    const page = await open(own, '#/run/keys-1', { allow: /401/ })
    await page.getByLabel('Access token').fill('agt_wrong')
    await page.getByRole('button', { name: 'Sign in' }).click()
    await page.locator('.notice.bad').waitFor()
    await page.getByLabel('Access token').fill(reader)
    await page.getByRole('button', { name: 'Sign in' }).click()
    await page.locator('.banner li[data-code=signal]').waitFor()
    await page.locator('.live.yes').waitFor()
    expect(await page.getByRole('button', { name: /Send|Cancel|Retry|Delete/ }).count()).toBe(0)
    await page.getByRole('button', { name: 'Sign out ann' }).click()
    await page.getByLabel('Access token').fill(admin)
    await page.getByRole('button', { name: 'Sign in' }).click()
    await page.locator('.run-head').getByRole('button', { name: 'Cancel…' }).waitFor()

    // The daemon's screen: an admin sees the tokens and what each is worth, others are told who does.
    token('old', 'operate', admin)
    await own.ask('DELETE', '/v1/tokens/old', undefined, admin)
    await own.ask('POST', '/v1/tokens', { name: 'brief', scope: 'read', ttl_ms: 1 }, admin)
    await page.goto(own.url + '/#/daemon')
    const row = (name: string) => page.locator('table.grid tr', { hasText: name })
    await row('root').getByText('valid', { exact: true }).waitFor()
    await row('old').getByText(/revoked 20/).waitFor()
    await row('brief').getByText(/expired 20/).waitFor()
    expect(await page.getByRole('button', { name: 'Revoke…' }).count()).toBe(2)
    await row('ann').getByRole('button', { name: 'Revoke…' }).click()
    await page.getByRole('dialog').getByLabel('Type ann to confirm').fill('ann')
    await page.getByRole('dialog').getByRole('button', { name: 'Revoke token' }).click()
    await row('ann').getByText(/revoked 20/).waitFor()
    await page.getByRole('button', { name: 'Sign out root' }).click()
    await page.getByLabel('Access token').fill(token('bob', 'read', admin))
    await page.getByRole('button', { name: 'Sign in' }).click()
    await page.getByText('shown to an access token of the scope admin').waitFor()
    expect(await page.locator('dl.settings').count()).toBe(0)
  })

  test('a read-only page shows an admin settings and tokens, and no action', async () => {
    const own = await b.daemon('--ui-read-only')
    const admin = execFileSync(program(), ['token', 'create', 'root', '--scope', 'admin', '--url', own.url]).toString().trim()
    const page = await open(own, '#/daemon', { allow: /401/ })
    await page.getByLabel('Access token').fill(admin)
    await page.getByRole('button', { name: 'Sign in' }).click()
    await page.locator('dl.settings', { hasText: 'test-clock' }).waitFor()
    await page.locator('table.grid tr', { hasText: 'root' }).waitFor()
    expect(await page.getByRole('button', { name: 'Revoke…' }).count()).toBe(0)
  })

  test('without JavaScript a sentence says what to do', async () => {
    const context = await b.browser.newContext({ javaScriptEnabled: false })
    const page = await context.newPage()
    await page.goto(kit.url)
    expect(await page.innerText('body')).toContain('This page needs JavaScript to show runs')
    await context.close()
  })

  test.each([false, true])('axe finds nothing serious, on any screen in any state, dark: %s', async (dark) => {
    const axe = readFileSync(join(repository, 'ui', 'node_modules', 'axe-core', 'axe.min.js'), 'utf8')
    await kit.register('axe', [task('one', 'shop', 'ok'), { name: 'wait', type: 'wait_signal', dependencies: ['one'], signal: { name: 'go', timeout_ms: 86_400_000, on_timeout: 'late' } }, task('late', 'shop', 'ok'), task('pay', 'shop', 'hold', { dependencies: ['one'], object_keys: ['account:9'] })])
    await kit.register('axe', [task('one', 'shop', 'ok'), { name: 'wait', type: 'wait_signal', dependencies: ['one'], signal: { name: 'go' } }, task('pay', 'shop', 'hold', { dependencies: ['one'], object_keys: ['account:9'] })])
    for (const n of [1, 2]) await kit.run('axe', 'axe-' + n, { n })
    await kit.register('axe-branches', [
      task('fetch', 'shop', 'echo'),
      task('gift', 'shop', 'ok', { dependencies: ['fetch'], when: 'steps.fetch.output.n > 1' }),
      task('charge', 'shop', 'refuse', { dependencies: ['fetch'], when: 'steps.fetch.output.n > 0', on_failure: 'apologise' }),
      task('apologise', 'shop', 'ok'),
      { name: 'answer', type: 'wait_signal', dependencies: ['fetch'], signal: { name: 'answer', timeout_ms: 1, on_timeout: 'poll' } },
      task('poll', 'shop', 'flaky', { repeat: { until: 'round >= 2', interval_ms: 20, max_rounds: 10 }, retry: { initial_interval_ms: 20 } }),
      task('close', 'shop', 'ok', { dependencies: ['gift', 'apologise', 'poll'], after: ['charge'], join: 'any' }),
    ])
    await kit.register('axe-loop', [task('poll', 'shop', 'ok', { repeat: { until: 'round >= 2', interval_ms: 86_400_000, max_rounds: 10 } })])
    await kit.register('axe-fails', [task('pay', 'shop', 'refuse')])
    for (const id of ['branches', 'loop', 'fails']) await kit.run('axe-' + id, 'axe-' + id, { n: 1 })
    await kit.run('axe-loop', 'axe-gone')
    await kit.ask('POST', '/v1/runs/axe-gone/cancel', { reason: 'enough' })
    await until(async () => (await kit.step('axe-2', 'wait')) === 'waiting', 'it waits')
    await until(async () => (await kit.state('axe-branches')) === 'completed' && (await kit.state('axe-fails')) === 'failed' && (await kit.step('axe-loop', 'poll')) === 'waiting', 'the others are where they should be')
    const { events } = (await kit.ask('GET', '/v1/runs/axe-branches/events?limit=1000')) as { events: { seq: number; kind: string; step?: string }[] }
    const at = (kind: string, step: string) => events.find((e) => e.kind === kind && e.step === step)!.seq
    await kit.ask('PUT', '/v1/schedules/axe', { workflow: 'axe', every: '1h' })
    for (const [verb, body] of [['trigger', {}], ['pause', { note: 'a while' }]] as const) await kit.ask('POST', '/v1/schedules/axe/' + verb, body)
    const page = await open(kit, '', { dark })
    await page.locator('.rows .tr').first().waitFor()
    await page.evaluate(`(() => { const module = undefined, exports = undefined; ${axe} })()`)
    const serious: unknown[] = []
    // What is not about colours is the same in both themes.
    const look = async (what: string) => {
      const found = (await page.evaluate(`window.axe.run({ resultTypes: ['violations']${dark ? ", runOnly: ['color-contrast']" : ''} })`)) as { violations: { id: string; impact: string; nodes: { html: string; failureSummary: string }[] }[] }
      for (const x of found.violations) if (x.impact === 'serious' || x.impact === 'critical') serious.push(...x.nodes.slice(0, 3).map((n) => [what, x.id, n.html, n.failureSummary]))
    }
    for (const [hash, ready] of [
      ['runs', '.rows .tr'],
      ['runs?state=failed', '.rows .tr'],
      ['runs?state=quarantined', '.empty'],
      ['run/axe-1', '.pane .step-name'],
      ['run/axe-1/data', '.payload'],
      ['run/axe-1/definition', '.payload'],
      ['run/axe-loop?step=poll', '.pane table.attempts'],
      ['run/axe-fails', '.pane .error'],
      ['run/axe-gone', '.banner'],
      ['run/axe-branches?step=gift', '.pane .saw'],
      ['run/axe-branches?step=charge&find=a&hide=completed', '.pane .logs'],
      ['run/axe-branches/timeline?step=poll', '.lane'],
      ['run/axe-branches/events?step=-', '.events .rows .tr'],
      [`run/axe-branches?step=charge&at=${at('ConditionEvaluated', 'charge')}`, '.run-head.past'],
      [`run/axe-branches/timeline?step=poll&at=${at('RoundCompleted', 'poll')}`, '.lane'],
      [`run/axe-branches/events?step=charge&at=${at('AttemptFailed', 'charge')}`, '.events .tr.later'],
      ['workflows', 'table.grid'],
      ['workflow/axe', '.node'],
      ['workflow/axe/definition', '.payload'],
      ['workflow/axe/compare', '.diff'],
      ['workers', 'table.grid'],
      ['objects', 'table.grid'],
      ['schedules', 'table.schedules'],
      ['schedule/axe?fill=yes', '.calendar'],
      ['daemon', '.card'],
      ['diff?a=axe-1&b=axe-2', '.diff'],
      ['nowhere', '.empty'],
    ]) {
      await page.evaluate((to) => void (location.hash = '/' + to), hash!)
      await page.locator(ready!).first().waitFor()
      await look(hash!)
    }
    await page.keyboard.press('?')
    await page.getByRole('dialog', { name: 'Keys' }).waitFor()
    await look('help')
    await page.keyboard.press('Escape')
    await page.evaluate(() => void (location.hash = '/run/axe-1'))
    await page.getByRole('button', { name: 'Cancel…' }).click()
    await look('a question before something is done')
    expect(serious).toEqual([])
  })
})
