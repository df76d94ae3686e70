import { execFileSync } from 'node:child_process'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Kit, noBrowser, program, startBrowser, task, until, type Visit, visit } from './harness'

// What the page shows at an event is what agnt5d replay --at says, over runs that are drawn at random. SEED draws them again, RUNS draws more of them.
const seed = Number(process.env.SEED) || Date.now() % 1_000_000
const runs = Number(process.env.RUNS) || 4
const looks = 6 // at each run

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

  // drawn is a workflow of 4 to 9 steps, and of those that take over from some: tasks that go well, fail once or fail for good, with
  // keys, conditions, rounds and joins, signals that come, do not come or time out, timers.
  const drawn = () => {
    const steps: Record<string, unknown>[] = []
    const count = 4 + draw(6)
    for (let i = 0; i < count; i++) {
      const name = 'step-' + i
      const before = steps.map((s) => s.name as string).filter(() => draw(3) === 0)
      const dependencies = before.filter((_, n) => n % 3 !== 2)
      const after = before.filter((_, n) => n % 3 === 2)
      const step = { name, dependencies, ...(after.length ? { after } : {}), ...(before.length ? { join: ['all', 'any', 'settled'][draw(3)] } : {}), ...(draw(4) ? {} : { when: `input.n > ${draw(2)}` }) }
      const saved = draw(2) ? undefined : name + '-saved'
      switch (draw(8)) {
        case 0:
          steps.push({ ...step, type: 'wait_signal', signal: { name: 'sig-' + draw(2), ...(saved ? { timeout_ms: 1, on_timeout: saved } : {}) } })
          break
        case 1:
          steps.push({ ...step, type: 'wait_timer', timer: { key: name, delay_ms: draw(2) ? 1 : 86_400_000 } })
          continue
        case 2:
          steps.push(task(name, 'shop', 'flaky', { ...step, retry: { initial_interval_ms: 1 } }))
          continue
        case 3:
        case 4:
          steps.push(task(name, 'shop', 'refuse', { ...step, ...(saved ? { on_failure: saved } : {}) }))
          break
        case 5:
          steps.push(task(name, 'shop', draw(2) ? 'ok' : 'flaky', { ...step, retry: { initial_interval_ms: 1 }, repeat: { until: `round >= ${draw(3)}`, interval_ms: draw(2), max_rounds: 2 }, ...(saved ? { on_failure: saved } : {}) }))
          break
        default:
          steps.push(task(name, 'shop', 'ok', { ...step, ...(draw(2) ? { object_keys: ['key:' + draw(2)] } : {}) }))
          continue
      }
      if (saved) steps.push(task(saved, 'shop', 'ok'))
    }
    return steps
  }

  // everything is a workflow with one of each, for when the draws miss one.
  const everything = [
    task('pay', 'shop', 'refuse', { on_failure: 'apologise' }),
    task('apologise', 'shop', 'ok'),
    { name: 'answer', type: 'wait_signal', signal: { name: 'never', timeout_ms: 1, on_timeout: 'remind' } },
    task('remind', 'shop', 'ok'),
    task('fetch', 'shop', 'ok'),
    task('gift', 'shop', 'ok', { dependencies: ['fetch'], when: 'input.n > 1' }),
    task('poll', 'shop', 'flaky', { dependencies: ['fetch'], when: 'input.n > 0', retry: { initial_interval_ms: 1 }, repeat: { until: 'round >= 2', interval_ms: 1, max_rounds: 5 } }),
    task('close', 'shop', 'ok', { dependencies: ['gift', 'poll'], after: ['answer'], join: 'any' }),
  ]

  interface Then {
    events: number
    state: string
    created_at: string
    steps: Record<string, { state: string }>
  }
  const words: Record<string, string> = { scheduled: 'queued', timed_out: 'timed out' }
  const word = (state: string) => words[state] ?? state
  const short = (ms: number) => (ms < 1_000 ? `${ms} ms` : (ms / 1_000).toFixed(1) + ' s') // of less than ten seconds
  // heads is what the header, the counts and the banner say.
  const heads = (page: Visit['page']) =>
    page.evaluate(() => {
      const text = (css: string) => document.querySelector(css)?.textContent ?? ''
      const counts = [...document.querySelectorAll('.counts > span')].map((c) => [c.querySelector('.dim')!.textContent, Number(c.textContent!.replace(/[^0-9]/g, ''))])
      return { state: text('.run-head > .state'), took: /(for|took) (.*)/.exec(text('.run-head > .dim'))?.slice(1).join(' '), handled: text('.run-head > .linkish'), counts: Object.fromEntries(counts), failed: text('.banner.bad h2 .linkish') }
    })

  test.each(Array.from({ length: runs }, (_, i) => i))(`run %i of seed ${seed}`, async (i) => {
    const name = 'drawn-' + i
    await kit.register(name, i === 0 ? everything : drawn())
    await kit.run(name, name, { n: 1 })
    await kit.ask('POST', `/v1/runs/${name}/signals/sig-${draw(2)}`, {}).catch(() => undefined) // it may have failed by now
    const moves = async () => {
      const st = (await kit.ask('GET', '/v1/runs/' + name)) as { state: string; step_counts: Record<string, number> }
      return st.state === 'running' && ['scheduled', 'running', 'retrying', 'blocked'].some((s) => st.step_counts[s])
    }
    await until(async () => !(await moves()), 'it comes to rest')
    const { events } = (await kit.ask('GET', `/v1/runs/${name}/events?limit=1000`)) as { events: { seq: number; n: number; at: string; kind: string; step?: string }[] }
    if (i === 0) expect(events.map((e) => e.kind)).toEqual(expect.arrayContaining(['ConditionEvaluated', 'FailureCaught', 'RoundCompleted', 'StepTimedOut', 'StepSkipped', 'RetrySet']))
    const { page } = v
    for (let look = 0; look < looks; look++) {
      const e = events[look === 0 ? 0 : draw(events.length)]!
      const line = execFileSync(program(), ['replay', '--run', name, '--at', String(e.seq), '-o', 'json', '--url', kit.url]).toString()
      const then = JSON.parse(line) as Then
      await page.goto(`${kit.url}/#/run/${name}?step=-&at=${e.seq}`)
      await page.locator('.travel .strip', { hasText: `event ${then.events} of ` }).waitFor()
      const shown = () =>
        page.evaluate(() => Object.fromEntries([...document.querySelectorAll('.step-list .row')].map((r) => [r.querySelector('.name')!.textContent, r.querySelector('.dim')!.textContent])))
      const want = Object.fromEntries(Object.entries(then.steps).map(([step, s]) => [step, word(s.state)]))
      const message = `${name} at ${e.seq}, seed ${seed}`
      await expect.poll(shown, { timeout: 20_000, message }).toEqual(want)
      const so = events.slice(0, then.events)
      const end = so.find((x) => x.kind === 'RunCompleted' || x.kind === 'RunFailed')
      const handled = so.filter((x) => x.kind === 'FailureCaught').length
      const counts: Record<string, number> = {}
      for (const state of Object.values(want)) counts[state] = (counts[state] ?? 0) + 1
      await expect.poll(() => heads(page), { timeout: 20_000, message }).toEqual({
        state: then.state,
        took: `${then.state === 'running' ? 'for' : 'took'} ${short(Date.parse((end ?? e).at) - Date.parse(then.created_at))}`,
        handled: handled ? `${handled} failure${handled > 1 ? 's' : ''} handled` : '',
        counts,
        failed: then.state === 'failed' ? end!.step : '',
      })
      // The timeline then has a bar for what had begun, and for nothing that came later.
      const attempts = so.filter((x) => x.kind === 'StepScheduled').length
      const running = Object.values(then.steps).filter((s) => s.state === 'running').length
      await page.evaluate((to) => void (location.hash = to), `/run/${name}/timeline?step=-&at=${e.seq}`)
      await page.locator('.lane, .empty').first().waitFor()
      const bars = () => page.evaluate(() => ({ attempts: new Set([...document.querySelectorAll('.lane .b[data-attempt]')].map((b) => b.getAttribute('data-attempt'))).size, running: document.querySelectorAll('.lane .b.t-run').length }))
      await expect.poll(bars, { timeout: 20_000, message }).toEqual({ attempts, running })
    }
    expect(v.wrong).toEqual([])
  })
})
