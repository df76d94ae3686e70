import { execFileSync } from 'node:child_process'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Kit, noBrowser, program, startBrowser, task, until, type Visit, visit } from './harness'

// What the page shows at an event is what agnt5d replay --at says, over runs that are drawn at random. SEED draws them again.
const seed = Number(process.env.SEED) || Date.now() % 1_000_000
const runs = 4
const looks = 8 // at each run

describe.skipIf(noBrowser)('back in time', () => {
  let browser: Browser
  let kit: Kit
  let v: Visit
  let state = seed
  const draw = (n: number) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * n)
  }

  beforeAll(async () => {
    browser = await startBrowser()
    kit = await new Kit().start()
    await kit.worker('shop')
    v = await visit(browser, kit.url, '#/workflows')
  })
  afterAll(async () => {
    await browser?.close()
    await kit?.stop()
  })

  // drawn is a workflow of 4 to 9 steps: tasks that go well, fail once or fail for good, with keys, signals that come or do not, timers.
  const drawn = () => {
    const names = Array.from({ length: 4 + draw(6) }, (_, i) => 'step-' + i)
    return names.map((name, i) => {
      const dependencies = names.slice(0, i).filter(() => draw(3) === 0)
      switch (draw(6)) {
        case 0:
          return { name, type: 'wait_signal', dependencies, signal: { name: 'sig-' + draw(2) } }
        case 1:
          return { name, type: 'wait_timer', dependencies, timer: { key: name, delay_ms: draw(2) ? 1 : 86_400_000 } }
        case 2:
          return task(name, 'shop', 'flaky', { dependencies, retry: { initial_interval_ms: 1 } })
        case 3:
          return task(name, 'shop', draw(3) ? 'ok' : 'refuse', { dependencies })
      }
      return task(name, 'shop', 'ok', { dependencies, ...(draw(2) ? { object_keys: ['key:' + draw(2)] } : {}) })
    })
  }

  interface Then {
    events: number
    state: string
    steps: Record<string, { state: string }>
  }
  const words: Record<string, string> = { scheduled: 'queued', timed_out: 'timed out' }

  test.each(Array.from({ length: runs }, (_, i) => i))(`run %i of seed ${seed}`, async (i) => {
    const name = 'drawn-' + i
    await kit.register(name, drawn())
    await kit.run(name, name)
    await kit.ask('POST', `/v1/runs/${name}/signals/sig-${draw(2)}`, {}).catch(() => undefined) // it may have failed by now
    const moves = async () => {
      const st = (await kit.ask('GET', '/v1/runs/' + name)) as { state: string; step_counts: Record<string, number> }
      return st.state === 'running' && ['scheduled', 'running', 'retrying', 'blocked'].some((s) => st.step_counts[s])
    }
    await until(async () => !(await moves()), 'it comes to rest')
    const { events } = (await kit.ask('GET', `/v1/runs/${name}/events?limit=1000`)) as { events: { seq: number; n: number }[] }
    const { page } = v
    for (let look = 0; look < looks; look++) {
      const e = events[look === 0 ? 0 : draw(events.length)]!
      const line = execFileSync(program(), ['replay', '--run', name, '--at', String(e.seq), '-o', 'json', '--url', kit.url]).toString()
      const then = JSON.parse(line) as Then
      await page.goto(`${kit.url}/#/run/${name}?step=-&at=${e.seq}`)
      await page.locator('.travel .strip', { hasText: `event ${then.events} of ` }).waitFor()
      const shown = () =>
        page.evaluate(() => Object.fromEntries([...document.querySelectorAll('.step-list .row')].map((r) => [r.querySelector('.name')!.textContent, r.querySelector('.dim')!.textContent])))
      const want = Object.fromEntries(Object.entries(then.steps).map(([step, s]) => [step, words[s.state] ?? s.state]))
      await expect.poll(shown, { timeout: 20_000, message: `${name} at ${e.seq}, seed ${seed}` }).toEqual(want)
    }
    expect(v.wrong).toEqual([])
  })
})
