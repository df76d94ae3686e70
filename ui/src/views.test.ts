import { expect, test, vi } from 'vitest'

vi.stubGlobal('location', { hash: '', origin: 'http://127.0.0.1:8080' })
vi.stubGlobal('addEventListener', () => {})
vi.stubGlobal('document', { querySelector: () => null })
vi.stubGlobal('setInterval', () => 0)

const { scaleOf } = await import('./timeline')
const { lines, pretty } = await import('./lines')
const { choice } = await import('./graph')
const { attemptsOf } = await import('./attempts')
const { where } = await import('./travel')
const { sorted } = await import('./banner')
const { until } = await import('./logs')
const { samples, worth } = await import('./daemon')
const { calendar, localTime, rule } = await import('./calendar')
const { changed, listQuery } = await import('./runlist')
const { heldText } = await import('./hold')
const { mistake, resumeAll } = await import('./dialog')

const at = (ms: number) => new Date(Date.parse('2026-11-23T08:00:00Z') + ms).toISOString()

test('idle time is shortened, and the order of times is kept', () => {
  const spans = [
    { seq: 1, step: 'a', kind: 'attempt', scheduled_at: at(0), started_at: at(0), ended_at: at(1_000) },
    { seq: 2, step: 'w', kind: 'wait', scheduled_at: at(1_000), ended_at: at(86_400_000) },
    { seq: 3, step: 'b', kind: 'attempt', scheduled_at: at(86_400_000), started_at: at(86_400_000), ended_at: at(86_401_000) },
  ]
  const { x, cuts } = scaleOf(spans, Date.parse(at(86_401_000)))
  expect(cuts.length).toBe(1)
  const places = [0, 500, 1_000, 40_000_000, 86_400_000, 86_400_500, 86_401_000].map((ms) => x(Date.parse(at(ms))))
  expect(places).toEqual([...places].sort((a, b) => a - b))
  expect(places[0]).toBe(0)
  expect(places[6]).toBeCloseTo(1)
  expect(places[2]).toBeGreaterThan(0.4) // a second of work takes nearly half, a day of waiting next to nothing
})

test('two definitions are compared line by line', () => {
  const diff = lines(pretty({ steps: [{ name: 'a' }, { name: 'b' }] }), pretty({ steps: [{ name: 'a' }, { name: 'c' }, { name: 'b' }] }))
  expect(diff.filter(([m]) => m === '+').map(([, t]) => t.trim())).toContain('"name": "c"')
  expect(diff.filter(([m]) => m !== '+').map(([, t]) => t).join('\n')).toBe(pretty({ steps: [{ name: 'a' }, { name: 'b' }] }))
  expect(lines('x', 'x')).toEqual([[' ', 'x']])
})

test('of ten thousand boxes at most 3,000 elements are drawn, failed ones first', () => {
  const nodes = Array.from({ length: 10_000 }, (_, i) => ({ name: 's' + i, type: 'task', x: (i % 100) * 200, y: Math.floor(i / 100) * 40, width: 150, height: 28 }))
  const edges = Array.from({ length: 9_900 }, (_, i) => ({ from: i, to: i + 100, kind: 'dependency', points: [[0, 0], [1, 1]] as [number, number][] }))
  const layout = { nodes, edges, width: 20_000, height: 4_000 }
  const step = (state: string) => ({ state, type: 'task', attempt: 1, since: at(0) })
  const steps = Object.fromEntries(nodes.map((n, i) => [n.name, step(i === 9_999 ? 'failed' : 'completed')]))
  for (const zoom of [0.05, 0.3, 0.5, 1]) {
    const drawn = choice(layout, steps, { x: 0, y: 0, zoom }, { width: 20_000 * zoom, height: 4_000 * zoom }, '', false)
    expect(drawn.boxes.length * (zoom < 0.35 ? 1 : 4) + drawn.lines.length).toBeLessThanOrEqual(3_000)
    expect(drawn.boxes).toContain(9_999)
    expect(drawn.boxes).toEqual([...drawn.boxes].sort((a, b) => a - b)) // in the order of the layout
    expect(drawn.boxes.length + drawn.left).toBe(10_000)
  }
  expect(choice(layout, steps, { x: 0, y: 0, zoom: 1 }, { width: 400, height: 100 }, '', true).boxes).toEqual([]) // completed ones are hidden, the failed one is out of view
})

test('attempts are read from the events, up to one of them', () => {
  const e = (seq: number, kind: string, more = {}) => ({ seq, at: at(seq), kind, step: 'a', ...more })
  const events = [e(1, 'StepScheduled'), e(2, 'AttemptStarted', { attempt: 1, data: { worker: 'w' } }), e(3, 'AttemptFailed', { data: { code: 'boom' } }), e(4, 'AttemptStarted', { attempt: 2 }), e(5, 'StepCompleted')]
  expect(attemptsOf(events, 'a', Infinity).map((a) => [a.n, a.text])).toEqual([[1, 'boom'], [2, 'completed']])
  expect(attemptsOf(events, 'a', 4).map((a) => a.text)).toEqual(['boom', 'running'])
  expect(attemptsOf(events, 'b', Infinity)).toEqual([])
})

test('the place of a sequence among the events', () => {
  const history = { events: [2, 5, 9].map((seq) => ({ seq, at: at(0), kind: 'X' })), complete: true, full: false, error: undefined }
  expect([undefined, 1, 2, 6, 9, 99].map((seq) => where(history, seq))).toEqual([2, 0, 0, 1, 2, 2])
})

test('what a person must do something about is told first', () => {
  expect(sorted(['running', 'timer', 'no_worker', 'signal', 'new_code'].map((code) => ({ code, detail: '' }))).map((r) => r.code)).toEqual(['new_code', 'no_worker', 'signal', 'timer', 'running'])
})

test('a log as it was at a time', () => {
  const text = '2026-11-23T08:00:00.000Z INFO one\n  of two lines\n2026-11-23T08:00:02.000Z INFO two\n'
  expect(until(text, '2026-11-23T08:00:01.000Z')).toBe('2026-11-23T08:00:00.000Z INFO one\n  of two lines')
  expect([until(text, undefined), until(text, '2026-11-23T08:00:02.000Z'), until(text, '2026-11-23T07:00:00.000Z')]).toEqual([text, text, ''])
})

test('figures are read', () => {
  const m = samples('# HELP x y\nx 1\ny{a="b c",d="}"} 2.5e3\n')
  expect(m.get('x')).toEqual([{ labels: '', value: 1 }])
  expect(m.get('y')![0]!.value).toBe(2500)
})

test('a span in the address becomes a time of the list', () => {
  const q = listQuery(new URLSearchParams('since=1h&state=failed&row=3&at=9'), Date.parse('2026-11-23T08:00:00Z'))
  expect(q.toString()).toBe('state=failed&since=2026-11-23T07%3A00%3A00.000Z')
})

test('what has come to a list and what has left it; what lies behind an answer with more to come says nothing', () => {
  const rows = (ids: string) => [...ids].map((id) => ({ workflow_id: id, workflow_name: 'w', version: 1, state: 'running', created_at: at(0) }))
  expect(changed(rows('abcd'), rows('abcd'), true)).toEqual({ fresh: 0, gone: [] })
  expect(changed(rows('abcd'), rows('xacd'), true)).toEqual({ fresh: 1, gone: ['b'] })
  expect(changed(rows('abcd'), rows('xa'), true)).toEqual({ fresh: 1, gone: ['b', 'c', 'd'] })
  expect(changed(rows('abcd'), rows('xabc'), false)).toEqual({ fresh: 1, gone: [] }) // d was pushed out of the page
  expect(changed(rows('abcd'), rows('acde'), false)).toEqual({ fresh: 0, gone: ['b'] }) // e moved up
  expect(changed([], rows('ab'), true)).toEqual({ fresh: 2, gone: [] })
  expect(changed(rows('ab'), [], true)).toEqual({ fresh: 0, gone: ['a', 'b'] })
})

test('what a token is worth', () => {
  const token = { name: 'ci', scope: 'read', created_at: at(0) }
  const then = Date.parse(at(10_000))
  expect(worth(token, then)).toEqual(['valid', 'ok'])
  expect(worth({ ...token, expires_at: at(20_000) }, then)[0]).toMatch(/^valid until /)
  expect(worth({ ...token, expires_at: at(10_000) }, then)[0]).toMatch(/^expired /)
  expect(worth({ ...token, expires_at: at(20_000), revoked_at: at(5_000) }, then)[0]).toMatch(/^revoked /)
})

test('the calendar of a schedule: whole weeks, counts, and rows that tell of several days', () => {
  const row = (local: string, outcome: string, more = {}) => ({ nominal_at: local, local, decided_at: local, lag_ms: 0, outcome, revision: 1, ...more })
  const rows = [
    row('2026-11-26T02:00:00+01:00', 'fired'),
    row('2026-11-25T14:00:00+01:00', 'fired'),
    row('2026-11-25T02:00:00+01:00', 'missed'),
    row('2026-11-21T02:00:00+01:00', 'paused', { count: 150, last_local: '2026-11-23T02:00:00+01:00' }),
    row('2026-09-01T02:00:00+01:00', 'missed', { count: 200, last_local: '2026-10-27T02:00:00+01:00' }),
  ]
  const weeks = calendar(rows, '2026-11-26', true)
  expect(weeks.map((w) => w.length)).toEqual([7, 7, 7, 7, 7])
  expect([weeks[0]![0]!.date, weeks[4]![6]!.date]).toEqual(['2026-10-26', '2026-11-29']) // Monday to Sunday
  const of = (date: string, all = weeks) => all.flat().find((d) => d.date === date)!
  expect(of('2026-11-26').of).toEqual([['fired', 1]])
  expect(of('2026-11-25').of).toEqual([['fired', 1], ['missed', 1]])
  expect([of('2026-11-21').of, of('2026-11-22').of, of('2026-11-23').of, of('2026-11-24').of]).toEqual([[['paused', 150]], [['paused', 0]], [['paused', 0]], []])
  expect([of('2026-10-26').of, of('2026-10-27').of, of('2026-10-28').of]).toEqual([[['missed', 0]], [['missed', 0]], []])
  const some = calendar(rows.slice(0, 3), '2026-11-26', false) // older rows were not asked for
  expect([of('2026-11-24', some).known, of('2026-11-25', some).known, of('2026-11-26', some).known]).toEqual([false, false, true])
  expect(calendar([], '2026-03-01', true).flat()[34]!.date).toBe('2026-03-01') // a Sunday
})

test('times and rules of schedules, as people read them', () => {
  expect(['2026-11-27T02:30:00+01:00', '2026-11-27T02:30:05Z', 'never'].map(localTime)).toEqual(['2026-11-27 02:30 +01:00', '2026-11-27 02:30:05 UTC', 'never'])
  expect(rule({ workflow: 'w', cron: ['0 2 * * *', '0 4 * * SUN'], time_zone: 'Europe/Berlin' })).toBe('0 2 * * * or 0 4 * * SUN, Europe/Berlin')
  expect(rule({ workflow: 'w', every_ms: 900_000 })).toBe('every 15 m')
  expect(rule({ workflow: 'w', every_ms: 1_000 })).toBe('every 1 s')
  expect(rule({ workflow: 'w', at: ['2026-11-27T02:30:00Z'] })).toBe('1 time')
})

test('the line across the page says how a hold stands', () => {
  const hold = { held: true, runs: 1200, resuming: false, resumed: 0, per_second: 0 }
  expect(heldText(hold)).toContain('holds 1,200 runs')
  expect(heldText({ ...hold, resuming: true, resumed: 1, per_second: 50 })).toBe('The runs are being resumed, oldest first, 50 a second: 1 run resumed, 1,200 held still.')
  expect(heldText({ ...hold, resuming: true, resumed: 2 })).toContain('oldest first: 2 runs resumed')
})

test('how fast a hold ends is a whole number, or nothing', () => {
  const action = resumeAll()
  const field = action.fields!.find((f) => f.name === 'per_second')!
  for (const text of ['50/s', '0.5', '-5', '0', '1e3', '0x10', '1000001', 'x', '5 0']) expect(mistake(field, text), text).toContain('want a whole number from 1 to 1,000,000')
  for (const text of ['', ' ', '1', ' 50 ', '1000000']) expect(mistake(field, text), text).toBe(false)
  expect(action.line({ per_second: ' 50 ', reason: '' })).toBe('agnt5d resume --all --per-second 50')
  expect(action.line({ per_second: '', reason: '' })).toBe('agnt5d resume --all')
})
