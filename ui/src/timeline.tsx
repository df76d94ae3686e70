import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import { get, runPath } from './api'
import { useAsked } from './asked'
import { Empty, now, Problem, StateIcon, stateName, useInView } from './bits'
import type { History } from './events'
import { clock, span } from './format'
import { change } from './route'
import { useDrawn } from './stepkeys'
import type { Status } from './types'
import { where } from './travel'

export interface Span {
  seq: number
  step: string
  kind: string // attempt, wait, keys
  attempt?: number
  scheduled_at: string
  started_at?: string
  ended_at?: string
  worker?: string
  outcome?: string
  code?: string
  message?: string
  retry_at?: string
}

const rowHeight = 26
const mostSpans = 50_000
const mostBars = 200 // in a row

// Scale maps times to places, and shortens the times in which nobody works.
export interface Scale {
  x: (t: number) => number // 0 to 1
  cuts: { from: number; to: number; x: number }[] // where idle time was shortened
}

// scaleOf lays out the time from the first span to the last. A stretch in which no attempt runs, and that is longer than a tenth of all
// the work, takes a tenth.
export function scaleOf(spans: Span[], end: number): Scale {
  const busy: [number, number][] = []
  let from = Infinity
  let to = -Infinity
  for (const s of spans) {
    const a = Date.parse(s.scheduled_at)
    const b = s.ended_at ? Date.parse(s.ended_at) : end
    from = Math.min(from, a)
    to = Math.max(to, b)
    if (s.started_at) busy.push([Date.parse(s.started_at), b])
  }
  if (from === Infinity) return { x: () => 0, cuts: [] }
  busy.sort((a, b) => a[0] - b[0])
  const merged: [number, number][] = []
  for (const b of busy) {
    const last = merged[merged.length - 1]
    if (last && b[0] <= last[1]) last[1] = Math.max(last[1], b[1])
    else merged.push([...b])
  }
  const work = merged.reduce((n, [a, b]) => n + b - a, 0)
  const most = Math.max(work / 10, 20)
  const stretches: { from: number; to: number; size: number; cut: boolean }[] = []
  let at = from
  const add = (a: number, b: number, idle: boolean) => {
    if (b <= a) return
    const cut = idle && b - a > most && merged.length > 0
    stretches.push({ from: a, to: b, size: cut ? most : b - a, cut })
  }
  for (const [a, b] of merged) {
    add(at, a, true)
    add(a, b, false)
    at = Math.max(at, b)
  }
  add(at, to, true)
  const total = stretches.reduce((n, s) => n + s.size, 0) || 1
  let x = 0
  const placed = stretches.map((s) => {
    const p = { ...s, x: x / total, width: s.size / total }
    x += s.size
    return p
  })
  return {
    x: (t) => {
      const s = placed.find((p) => t <= p.to) ?? placed[placed.length - 1]
      if (!s) return 0
      return s.x + s.width * Math.min(1, Math.max(0, (t - s.from) / (s.to - s.from)))
    },
    cuts: placed.filter((p) => p.cut).map((p) => ({ from: p.from, to: p.to, x: p.x + p.width / 2 })),
  }
}

async function read(id: string, at: number | undefined, signal: AbortSignal): Promise<Span[]> {
  let all: Span[] = []
  for (let cursor = ''; all.length < mostSpans; ) {
    const q = new URLSearchParams({ limit: '10000' })
    if (at) q.set('at', String(at))
    if (cursor) q.set('cursor', cursor)
    const page = await get<{ attempts: Span[]; next_cursor?: string }>(`${runPath(id)}/timeline?${q}`, signal)
    all = all.concat(page.attempts)
    if (!page.next_cursor) break
    cursor = page.next_cursor
  }
  return all
}

export function Timeline({ run, history, at, chosen }: { run: Status; history: History; at: number | undefined; chosen: string }) {
  const id = run.workflow_id
  const size = history.events.length
  const asked = useAsked(at ? `${id} at ${at}` : `${id} ${size < 2_000 ? size : Math.floor(size / 500)} ${run.state}`, (s) => read(id, at, s).then((spans) => ({ id, at, spans })))
  const kept = useRef<{ id: string; at: number | undefined; spans: Span[] }>({ id: '', at, spans: [] })
  if (asked.value) kept.current = asked.value
  const told = kept.current.id === id ? kept.current : { at, spans: [] } // while those of the next event are asked for, those before stay
  const then = told.at === at ? run.as_of?.at : told.at && history.events[where(history, told.at)]?.at // the time of the event that is shown
  const clockNow = run.state === 'running' && !then ? now.value : 0
  const end = then ? Date.parse(then) : run.completed_at ? Date.parse(run.completed_at) : Math.max(clockNow, Date.parse(history.events[size - 1]?.at ?? run.created_at))
  const { rows, scale, looks } = useMemo(() => {
    const rows = new Map<string, Span[]>()
    for (const s of told.spans) {
      const mine = rows.get(s.step)
      if (mine) mine.push(s)
      else rows.set(s.step, [s])
    }
    return { rows: [...rows], scale: scaleOf(told.spans, end), looks: new Set(told.spans.flatMap((s) => barsOf(s, end).map((b) => b.look))) }
  }, [told.spans, end])
  const [zoom, setZoom] = useState(1)
  const [view, setView] = useState({ top: 0, height: 600 })
  const box = useRef<HTMLDivElement>(null)
  useDrawn(useMemo(() => rows.map(([step]) => step), [rows]))
  useInView(box, rows.findIndex(([step]) => step === chosen), rowHeight)
  const measure = () => box.current && setView({ top: box.current.scrollTop, height: box.current.clientHeight })
  useEffect(() => {
    measure()
    addEventListener('resize', measure)
    return () => removeEventListener('resize', measure)
  }, [rows.length > 0])
  if (asked.error) return <Problem error={asked.error} />
  if (rows.length === 0) return asked.value ? <Empty>No step has begun yet.</Empty> : null
  const first = Math.max(0, Math.floor(view.top / rowHeight) - 4)
  const shown = rows.slice(first, first + Math.ceil(view.height / rowHeight) + 8)
  return (
    <div class="timeline">
      <div class="bar filters">
        {(Object.keys(legend) as Look[]).filter((look) => looks.has(look)).map((look) => (
          <span class="legend" key={look}><i class={'b ' + look} /> {legend[look]}</span>
        ))}
        {scale.cuts.length > 0 && <span class="legend"><i class="cut" /> idle time, shortened</span>}
        {then && <span class="legend"><i class="here" /> the event shown</span>}
        <span class="grow" />
        <button type="button" class="small" aria-label="Zoom out" onClick={() => setZoom(Math.max(1, zoom / 1.5))} disabled={zoom === 1}>−</button>
        <button type="button" class="small" aria-label="Zoom in" onClick={() => setZoom(Math.min(200, zoom * 1.5))}>+</button>
        <button type="button" class="small" onClick={() => setZoom(1)}>Fit</button>
      </div>
      <div class="lanes" ref={box} onScroll={measure} onWheel={(e) => e.ctrlKey && (e.preventDefault(), setZoom(Math.min(200, Math.max(1, zoom * Math.exp(-e.deltaY / 300)))))}>
        <div class="spacer" style={{ height: rows.length * rowHeight + 'px', width: `max(100%, calc(190px + (100% - 200px) * ${zoom}))` }}>
          <div class="cuts" aria-hidden="true">
            {scale.cuts.map((c) => (
              <i class="cut" style={{ left: 100 * c.x + '%' }} title={`${span(c.to - c.from)} in which nothing ran`} />
            ))}
            {then && <i class="here" style={{ left: 100 * scale.x(end) + '%' }} />}
          </div>
          {shown.map(([step, mine], i) => (
            <div key={step} class={'lane' + (step === chosen ? ' on' : '')} style={{ top: (first + i) * rowHeight + 'px' }}>
              <button type="button" class="name" onClick={() => change({ step })} title={step}>
                <StateIcon state={run.steps[step]?.state ?? spanState(mine[mine.length - 1]!)} /> <span>{step}</span>
              </button>
              <div class="bars">
                {mine.slice(-mostBars).map((s) => (
                  <Bars key={s.seq + s.kind} span={s} scale={scale} end={end} />
                ))}
              </div>
            </div>
          ))}
        </div>
      </div>
    </div>
  )
}

// legend: what the bars look like, and what that means.
const legend: Record<Look, string> = {
  'hatched': 'waits for a worker',
  't-run': 'running',
  't-ok': 'completed',
  't-bad': 'failed or lost',
  't-off': 'cancelled',
  'thin t-wait': 'waits (signal, time, keys, retry, round)',
}

type Look = 'hatched' | 't-run' | 't-ok' | 't-bad' | 't-off' | 'thin t-wait'

// outcomes: how an attempt looks that ended so. The waits have outcomes of their own, which their titles name.
const outcomes: Record<string, Look> = { completed: 't-ok', failed: 't-bad', lost: 't-bad', cancelled: 't-off', withdrawn: 't-off', granted: 'thin t-wait', timed_out: 'thin t-wait' }

interface Bar {
  look: Look
  from: number
  to: number
}

// spanState is the state of an item, whose step alone stands in the status.
const spanState = (s: Span) => s.outcome ?? (s.kind !== 'attempt' ? 'waiting' : s.started_at ? 'running' : 'scheduled')

// barsOf gives what is drawn of a span that ended by a time, or goes on at it.
export function barsOf(s: Span, end: number): Bar[] {
  const a = Date.parse(s.scheduled_at)
  const began = s.started_at ? Date.parse(s.started_at) : undefined
  const b = s.ended_at ? Date.parse(s.ended_at) : Math.max(end, a)
  if (s.kind !== 'attempt') return [{ look: 'thin t-wait', from: a, to: b }]
  const out: Bar[] = []
  if (began === undefined || began > a) out.push({ look: 'hatched', from: a, to: began ?? b })
  if (began !== undefined) out.push({ look: s.outcome ? (outcomes[s.outcome] ?? 't-off') : 't-run', from: began, to: b })
  const again = s.retry_at ? Math.min(Date.parse(s.retry_at), Math.max(end, b)) : b
  if (again > b) out.push({ look: 'thin t-wait', from: b, to: again })
  return out
}

// titleOf says what a span is.
function titleOf(s: Span, end: number): string {
  const a = Date.parse(s.scheduled_at)
  const b = s.ended_at ? Date.parse(s.ended_at) : Math.max(end, a)
  const began = s.started_at ? Date.parse(s.started_at) : undefined
  const parts = [
    s.kind === 'attempt' ? `attempt ${s.attempt}` : s.kind === 'keys' ? 'waits for its keys' : 'waits',
    s.outcome ? stateName(s.outcome) : 'open',
    s.code && `${s.code}: ${s.message ?? ''}`,
    s.worker && 'on ' + s.worker,
    s.kind !== 'attempt' ? span(b - a) : began === undefined ? `queued ${span(b - a)}` : `queued ${span(began - a)}, ran ${span(b - began)}`,
    'from ' + clock(s.scheduled_at),
  ]
  if (s.retry_at) parts.push((s.outcome === 'completed' ? 'its next round at ' : 'tried again at ') + clock(s.retry_at))
  return parts.filter(Boolean).join('\n')
}

function Bars({ span: s, scale, end }: { span: Span; scale: Scale; end: number }) {
  const title = titleOf(s, end)
  return (
    <>
      {barsOf(s, end).map((b) => (
        <i class={'b ' + b.look} style={{ left: 100 * scale.x(b.from) + '%', width: `max(2px, ${100 * (scale.x(b.to) - scale.x(b.from))}%)` }} title={title} data-attempt={s.attempt && `${s.step} ${s.attempt}`} onClick={() => change({ at: s.seq, step: s.step })} />
      ))}
    </>
  )
}
