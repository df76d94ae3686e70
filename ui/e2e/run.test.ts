import type { Page } from 'playwright-core'
import { beforeAll, describe, expect, test } from 'vitest'
import { browsing } from './browsing'
import { type Kit, type Look, noBrowser, task, until } from './harness'

interface Event {
  seq: number
  n: number
  at: string
  kind: string
  step?: string
  data?: Record<string, unknown>
}

describe.skipIf(noBrowser)('the screen of one run', () => {
  const b = browsing()
  let kit: Kit

  const open = (hash: string, o: Look = {}) => b.open(kit, hash, o)
  const events = async (id: string) => ((await kit.ask('GET', `/v1/runs/${id}/events?limit=1000`)) as { events: Event[] }).events
  const event = async (id: string, kind: string, step?: string) => (await events(id)).find((e) => e.kind === kind && (!step || e.step === step))!
  // row is what stands beside a word in the pane.
  const row = (page: Page, name: string) => page.locator('.pane dt', { hasText: new RegExp(`^${name}$`) }).locator('xpath=following-sibling::dd[1]')

  beforeAll(async () => {
    kit = await b.daemon()
    await kit.worker('shop')
    await kit.register('order', [
      task('fetch', 'shop', 'echo'),
      task('charge', 'shop', 'ok', { dependencies: ['fetch'], when: 'steps.fetch.output.total > 0' }),
      task('gift', 'shop', 'ok', { dependencies: ['fetch'], when: 'steps.fetch.output.total == 0' }),
      task('pay', 'shop', 'refuse', { dependencies: ['charge'], on_failure: 'apologise' }),
      task('apologise', 'shop', 'ok'),
      { name: 'answer', type: 'wait_signal', dependencies: ['fetch'], signal: { name: 'answer', timeout_ms: 1, on_timeout: 'remind' } },
      task('remind', 'shop', 'ok'),
      task('close', 'shop', 'ok', { dependencies: ['pay', 'gift', 'apologise'], after: ['answer'], join: 'settled' }),
    ])
    await kit.run('order', 'order-1', { total: 5 })
    await kit.register('templates', [task('go', 'shop', 'ok', { when: 'input.n > 1', input: { total: '${ input.n * 2 }' }, object_keys: ['account:${ input.n }'] })])
    await kit.run('templates', 'templates-1', { n: 2 })
    await kit.register('poll', [task('poll', 'shop', 'ok', { repeat: { until: 'round >= 3', interval_ms: 150, max_rounds: 10 } })])
    await kit.run('poll', 'poll-1')
    for (const id of ['order-1', 'poll-1', 'templates-1']) await until(async () => (await kit.state(id)) === 'completed', id + ' ends')
  })

  test('the outline is around the chosen step and no other, as the screen shows it', async () => {
    const graph = () => page.locator('.graph svg').screenshot()
    const names = () => page.locator('.graph g.node').evaluateAll((all) => all.map((n) => n.getAttribute('data-step')))
    let page = await open('#/run/order-1?step=pay')
    await page.locator('.node.on[data-step=pay]').waitFor()
    const fresh = await graph()
    const order = await names()
    await b.visit.close()
    page = await open('#/run/order-1?step=gift')
    await page.locator('.node.on[data-step=gift]').waitFor()
    for (const step of ['close', 'gift', 'pay']) {
      await page.locator('.step-list .row', { hasText: step }).click()
      await page.locator(`.node.on[data-step=${step}]`).waitFor()
      expect(await names(), 'what is chosen moves no box').toEqual(order)
    }
    await page.mouse.move(5, 5)
    const pictures = [fresh, await graph()].map((png) => 'data:image/png;base64,' + png.toString('base64'))
    const differ = await page.evaluate(async (urls) => {
      const [a, b] = await Promise.all(urls.map(async (url) => {
        const img = new Image()
        img.src = url
        await img.decode()
        const c = new OffscreenCanvas(img.width, img.height).getContext('2d')!
        c.drawImage(img, 0, 0)
        return c.getImageData(0, 0, img.width, img.height).data
      }))
      return a!.filter((n, i) => Math.abs(n - b![i]!) > 60).length
    }, pictures)
    expect(differ, 'points that are not as on a page that was opened with this step').toBe(0)
  })

  test('tags of a run are changed on its page, and lists find it by them', async () => {
    await kit.ask('PATCH', '/v1/runs/order-1', { tags: { team: 'data', old: 'yes' } })
    const page = await open('#/run/order-1')
    await page.locator('.run-head a.tag', { hasText: 'old=yes' }).waitFor()
    await page.getByRole('button', { name: 'Tags…' }).click()
    const dialog = page.getByRole('dialog', { name: 'Change tags' })
    await dialog.locator('textarea').fill('{"team": "a b", "new":')
    expect(await dialog.getByRole('button', { name: 'Change tags' }).isDisabled()).toBe(true)
    await dialog.locator('textarea').fill('{"team": "a b", "new": "7"}')
    expect(await dialog.locator('code').last().innerText()).toBe("agnt5d tag order-1 'team=a b' new=7 --remove old --url " + kit.url)
    await dialog.getByRole('button', { name: 'Change tags' }).click()
    await page.locator('.run-head a.tag', { hasText: 'new=7' }).waitFor()
    expect(await page.locator('.run-head a.tag').allInnerTexts()).toEqual(['new=7', 'team=a b'])
    expect((await kit.ask('GET', '/v1/runs/order-1')) as unknown).toMatchObject({ tags: { team: 'a b', new: '7' } })
    await page.locator('.run-head a.tag', { hasText: 'team=a b' }).click()
    await page.getByRole('link', { name: 'order-1', exact: true }).waitFor()
  })

  test('rounds of a loop are over when they are over, and the timeline says what the step waited for between them', async () => {
    const page = await open('#/run/poll-1/timeline?step=poll')
    const attempts = page.locator('.pane table.small tr')
    await expect.poll(() => attempts.count()).toBe(4)
    expect(await attempts.allInnerTexts()).toEqual([1, 2, 3, 4].map((n) => expect.stringMatching(new RegExp(`^${n}\\s+round ${n}\\s+completed`))))
    expect(await row(page, 'Repeat').innerText()).toMatch(/until round >= 3\s+round 4 of at most 10, 150 ms between two\s+after the last one it was true\s+round was 3/)
    await expect.poll(() => page.locator('.lane .b.t-ok').count()).toBe(4)
    expect(await page.locator('.lane .b.thin').count()).toBe(3)
    // In the middle of it the round that is over is over, and the next one has not begun.
    const waits = (await events('poll-1')).filter((e) => e.kind === 'ConditionEvaluated')[1]!
    await page.evaluate((seq) => void (location.hash = `/run/poll-1/timeline?step=poll&at=${seq}`), waits.seq)
    await page.locator('.strip', { hasText: 'poll runs again: round >= 3 is false' }).waitFor()
    await expect.poll(() => page.locator('.lane .b.t-ok').count()).toBe(2)
    await expect.poll(() => attempts.allInnerTexts()).toEqual([1, 2].map((n) => expect.stringMatching(new RegExp(`^${n}\\s+round ${n}\\s+completed`))))
    expect(await row(page, 'Repeat').innerText()).toMatch(/round 3 of at most 10.*\s+after the last one it was false\s+round was 1/)
  })

  test('conditions, branches and handled failures are told: in the pane, in the list of events, under the slider', async () => {
    const page = await open('#/run/order-1?step=gift')
    expect(await row(page, 'Condition').innerText()).toMatch(/^steps\.fetch\.output\.total == 0 is false\s+steps\.fetch\.output\.total was 5$/)
    await page.locator('.pane', { hasText: 'It was skipped: its condition is false.' }).waitFor()
    const choose = (step: string) => page.locator('.step-list .row', { hasText: step }).click()
    await choose('charge')
    await expect.poll(() => row(page, 'Condition').innerText()).toMatch(/total > 0 is true/)
    await choose('pay')
    await page.locator('.pane', { hasText: 'It failed, and apologise took over.' }).waitFor()
    expect(await row(page, 'On failure').innerText()).toBe('apologise')
    await choose('apologise')
    await expect.poll(() => row(page, 'Takes over').innerText()).toBe('when pay fails')
    await choose('remind')
    await expect.poll(() => row(page, 'Takes over').innerText()).toBe('when answer times out')
    await choose('close')
    await expect.poll(() => row(page, 'Order only').innerText()).toBe('answer')
    expect(await row(page, 'Join').innerText()).toBe('settled whatever became of them')
    await choose('answer')
    await expect.poll(() => row(page, 'Before').innerText()).toBe('close')
    await page.locator('.run-head').getByRole('button', { name: '1 failure handled' }).click()
    await page.locator('.pane .step-name', { hasText: 'pay' }).waitFor()

    const told: [kind: string, step: string, strip: string, row: RegExp][] = [
      ['ConditionEvaluated', 'gift', 'gift has a condition that is false: steps.fetch.output.total == 0', /steps\.fetch\.output\.total == 0 is false\s+steps\.fetch\.output\.total=5/],
      ['StepSkipped', 'gift', 'gift was skipped: its condition is false', /reason=when/],
      ['FailureCaught', 'pay', 'pay its failure is handled: apologise takes over', /on_failure=apologise/],
    ]
    for (const [kind, step, strip, data] of told) {
      const e = await event('order-1', kind, step)
      await page.evaluate((seq) => void (location.hash = `/run/order-1/events?step=${seq && '-'}&at=${seq}`), e.seq)
      await page.locator('.strip .what', { hasText: strip }).waitFor()
      await page.locator('.pane p', { hasText: strip }).waitFor()
      expect(await page.locator('.events .tr.on .why').innerText()).toMatch(data)
    }
    const strips = await page.evaluate(() => [...document.querySelectorAll('.events .tr .why')].map((e) => e.getAttribute('title')))
    for (const e of await events('order-1')) expect(strips.some((s) => s?.includes(e.kind)), `${e.kind} is told in words`).toBe(false)
  })

  test('templates are shown with what they gave, once that is known', async () => {
    const page = await open(`#/run/templates-1?step=go&at=${(await event('templates-1', 'RunStarted')).seq}`)
    await page.locator('.pane .payload', { hasText: 'Input, not worked out yet' }).filter({ hasText: '${ input.n * 2 }' }).waitFor()
    await page.getByRole('button', { name: 'Back to now' }).click()
    await page.locator('.pane .payload', { hasText: 'Input, worked out' }).filter({ hasText: 'total: 4' }).waitFor()
    expect(await row(page, 'Keys').innerText()).toBe('account:2')
    await page.locator('.last', { hasText: 'its input and keys were worked out' }).waitFor()
  })

  test('the items of a step are counted, named and shown one by one, also as they were', async () => {
    await kit.register('list', [task('each', 'shop', 'each', { for_each: 'input.list', max_parallel: 4, tolerate: 1 })])
    await kit.run('list', 'list-1', { list: [5, 13, 7] })
    await until(async () => (await events('list-1')).filter((e) => ['StepCompleted', 'StepFailed'].includes(e.kind)).length === 2, 'two items have ended')
    const page = await open('#/run/list-1?step=each')
    await expect.poll(() => row(page, 'Items').innerText()).toMatch(/^3 items: 1 completed, 1 failed, 1 open\s+of input\.list, at most 4 at a time, 1 may fail\s+failed each\[1\]\s+running each\[2\]$/)
    await row(page, 'Items').getByRole('button', { name: 'each[1]' }).click()
    await page.locator('.pane .facts .state', { hasText: 'failed' }).waitFor()
    await page.locator('.pane .error', { hasText: 'thirteen brings bad luck' }).waitFor()
    await page.locator('.pane .payload', { hasText: 'Item' }).filter({ hasText: '13' }).waitFor()
    expect(await page.locator('.pane table.attempts tr').count()).toBe(1)
    await page.locator('.tabs').getByText('Timeline').click()
    await page.locator('.lane', { hasText: 'each[2]' }).getByRole('button').click()
    await page.locator('.pane .facts .state', { hasText: 'running' }).waitFor()
    expect(await page.locator('.lane .name svg').evaluateAll((all) => all.map((e) => e.getAttribute('class')))).toEqual(['icon t-ok', 'icon t-bad', 'icon t-run'])
    kit.release('list-1', 'each')
    kit.release('list-1', 'each[2]')
    await page.locator('.pane .facts .state', { hasText: 'completed' }).waitFor()
    await page.locator('.pane .payload', { hasText: 'Output' }).filter({ hasText: '7' }).waitFor()
    await page.evaluate((seq) => void (location.hash = `/run/list-1?step=each&at=${seq}`), (await event('list-1', 'ItemsSet')).seq)
    await expect.poll(() => row(page, 'Items').innerText()).toMatch(/^3 items: 3 waiting/)
    await page.locator('.strip', { hasText: 'each goes over a list: 3 items' }).waitFor()
  })

  test('a run whose own time is over names no step, and an open one says when it will be', async () => {
    await kit.ask('PUT', '/v1/workflows/late', { timeout_ms: 1, steps: [{ name: 'a', type: 'wait_signal', signal: { name: 'go' } }] })
    await kit.ask('PUT', '/v1/workflows/later', { timeout_ms: 86_400_000, steps: [{ name: 'a', type: 'wait_signal', signal: { name: 'go' } }] })
    for (const name of ['late', 'later']) await kit.run(name, name + '-1')
    await until(async () => (await kit.state('late-1')) === 'failed', 'its time is over')
    const page = await open('#/run/late-1')
    await expect.poll(() => page.locator('.banner.bad h2').innerText()).toMatch(/^\s*Failed\s+run_timeout$/)
    await page.evaluate(() => void (location.hash = '/run/later-1'))
    await page.locator('.run-head', { hasText: /its time is over in 23 h/ }).waitFor()
    await page.evaluate(() => void (location.hash = '/runs?workflow=later'))
    await page.locator('.rows .tr .state', { hasText: 'running' }).waitFor()
    await page.locator('.live.yes').waitFor()
    await kit.ask('POST', '/v1/test-clock', { advance: '25h' }) // its row changes while it is looked at
    await expect.poll(() => page.locator('.rows .tr .why').innerText()).toMatch(/^run_timeout: the run was not over/)
  })

  test('what timed out and went on counts as done: its line, and what "hide completed" leaves', async () => {
    const page = await open('#/run/order-1?step=-')
    await page.locator('.node').first().waitFor()
    const { nodes, edges } = (await kit.ask('GET', '/v1/workflows/order/graph?version=1')) as { nodes: { name: string }[]; edges: { from: number; to: number; kind: string }[] }
    const classes = await page.locator('.lines path').evaluateAll((all) => all.map((p) => p.getAttribute('class')))
    const line = (from: string, to: string) => classes[edges.findIndex((e) => nodes[e.from]!.name === from && nodes[e.to]!.name === to)]
    expect([line('answer', 'remind'), line('pay', 'apologise'), line('answer', 'close'), line('pay', 'close')]).toEqual(['late done', 'late done', ' done', ' done'].map((c) => expect.stringMatching(new RegExp(`^${c.trim()}$|^${c}$`))))
    await page.getByLabel('Hide completed').check()
    await expect.poll(() => page.locator('.step-list .name').allInnerTexts()).toEqual(['pay'])
    expect(await page.locator('.graph g.node').evaluateAll((all) => all.map((n) => n.getAttribute('data-step')))).toEqual(['pay'])
  })

  test('in the past the header is that of then, says what is now, and offers nothing', async () => {
    const pays = await event('order-1', 'AttemptStarted', 'pay')
    const page = await open(`#/run/order-1?step=pay&at=${pays.seq}`)
    const head = page.locator('.run-head')
    await head.locator('> .state', { hasText: 'running' }).waitFor()
    const first = (await events('order-1'))[0]!
    const ms = Date.parse(pays.at) - Date.parse(first.at)
    const text = (await head.innerText()).replace(/\s+/g, ' ')
    expect(text).toContain(`for ${ms < 1000 ? ms + ' ms' : (ms / 1000).toFixed(1) + ' s'}`)
    expect(text).toContain('now completed')
    expect(text).not.toContain('handled')
    expect(await head.getByRole('button', { name: /Cancel|Retry|Delete/ }).count()).toBe(0)
    expect(await page.locator('.counts').innerText()).toMatch(/1\s+running/)
    await page.locator('.pane .facts', { hasText: 'for 0 ms' }).waitFor() // and so are the times of the pane
    await page.getByRole('button', { name: 'Back to now' }).click()
    await head.getByRole('button', { name: 'Delete…' }).waitFor()
    await head.locator('> .state', { hasText: 'completed' }).waitFor()
    expect(await head.innerText()).toContain('1 failure handled')
  })

  test('the timeline of the past has no bar of what came later, and its legend names each bar that is drawn', async () => {
    const all = await events('order-1')
    const page = await open(`#/run/order-1/timeline?step=-&at=${all[0]!.seq}`)
    await page.getByText('No step has begun yet').waitFor()
    const looks = () => page.locator('.lane .b').evaluateAll((bars) => [...new Set(bars.map((b) => b.className))].sort())
    for (const e of all) {
      if (!['StepScheduled', 'AttemptStarted', 'StepCompleted', 'AttemptFailed'].includes(e.kind) || !['charge', 'pay'].includes(e.step!)) continue
      await page.evaluate((seq) => void (location.hash = `/run/order-1/timeline?step=-&at=${seq}`), e.seq)
      await page.locator('.strip', { hasText: `event ${e.n} of` }).waitFor()
      const want = { StepScheduled: 'b hatched', AttemptStarted: 'b t-run', StepCompleted: 'b t-ok', AttemptFailed: 'b t-bad' }[e.kind]
      const of = page.locator('.lane', { hasText: e.step! }).locator('.b')
      await expect.poll(async () => (await of.last().getAttribute('class')), { message: `${e.kind} of ${e.step}` }).toBe(want)
      await expect.poll(async () => page.locator('.legend .b').evaluateAll((bars) => bars.map((b) => b.className).sort())).toEqual(await looks())
    }
    await page.getByRole('button', { name: 'Back to now' }).click()
    await page.locator('.lane', { hasText: 'close' }).waitFor()
    expect(await page.locator('.legend .b').evaluateAll((bars) => bars.map((b) => b.className).sort())).toEqual(await looks())
    await page.locator('.legend', { hasText: 'completed' }).waitFor()
  })

  test('signals that nobody waits for are told one by one, also when one more comes', async () => {
    await kit.register('typo', [{ name: 'a', type: 'wait_signal', signal: { name: 'go' } }])
    await kit.run('typo', 'typo-1')
    const send = (name: string) => kit.ask('POST', `/v1/runs/typo-1/signals/${name}`, {})
    for (const name of ['gogo', 'og']) await send(name)
    const page = await open('#/run/typo-1')
    const lines = page.locator('.banner li[data-code=unknown_signal] .text')
    await expect.poll(() => lines.count()).toBe(2)
    await send('aaa')
    await expect.poll(async () => (await lines.allInnerTexts()).map((t) => /"(\w+)"/.exec(t)![1])).toEqual(['gogo', 'og', 'aaa'])
    await page.locator('.banner li[data-code=unknown_signal]', { hasText: 'og' }).last().getByRole('button', { name: 'Show its signals' }).click()
    await expect.poll(() => page.locator('.events .rows .tr').count()).toBe(3)
  })

  test('a run with more events than the page holds says so, and asks no further', async () => {
    await kit.register('long', [{ name: 'a', type: 'wait_signal', signal: { name: 'go' } }])
    await kit.run('long', 'long-1')
    const page = await open('#/none')
    let pages = 0
    await page.route(/\/v1\/runs\/long-1\/events/, (route) => {
      const begin = 1_000 * pages++
      const list = Array.from({ length: 1_000 }, (_, i) => ({ seq: 100 + begin + i, n: begin + i + 1, at: '2026-11-23T08:00:00Z', kind: 'StepScheduled', step: 'a', attempt: 1 }))
      return route.fulfill({ json: { events: list, next_cursor: 'c' + pages } })
    })
    await page.evaluate(() => void (location.hash = '/run/long-1/events'))
    const held = page.locator('.events .filters', { hasText: '50,000 events, the first ones: the page holds no more' })
    await held.waitFor()
    await kit.ask('POST', '/v1/runs/long-1/signals/go', {})
    await page.locator('.run-head .state', { hasText: 'completed' }).waitFor()
    expect(pages).toBe(50)
    await held.waitFor()
  })

  test('a narrow window cuts the release short, and nothing else of the bar at the top', async () => {
    const page = await open('#/run/order-1?step=-', { width: 920, height: 700 })
    await page.route('**/version', async (route) => route.fulfill({ json: { ...(await (await route.fetch()).json()), version: 'v0.0.0-20261126080550-cbae51ae299e+dirty' } }))
    await page.reload()
    await page.locator('.top', { hasText: 'cbae51ae299e' }).waitFor()
    const heights = await page.locator('.top > *').evaluateAll((all) => all.map((e) => e.getBoundingClientRect()).map((r) => [r.top >= 0, r.bottom <= 40, r.right <= innerWidth]))
    expect(heights.flat().every(Boolean), JSON.stringify(heights)).toBe(true)
  })
})
