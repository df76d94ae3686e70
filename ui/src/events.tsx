import { useEffect, useRef, useState } from 'preact/hooks'
import { get, runPath } from './api'
import { useAgain } from './asked'
import { Problem, StateIcon } from './bits'
import { clock, span } from './format'
import { listen } from './live'
import { change, place } from './route'
import type { EventPage, RunEvent } from './types'
import { write } from './payload'

const most = 50_000 // events that the page holds of one run
const rowHeight = 28

export interface History {
  events: RunEvent[]
  complete: boolean // false: still loading, or there are more than the page holds
  error: unknown
}

// useHistory holds the events of a run, and adds what happens.
export function useHistory(id: string): History {
  const [h, setH] = useState<History>({ events: [], complete: false, error: undefined })
  const again = useRef(() => {})
  useAgain(h.error, () => again.current())
  useEffect(() => {
    const abort = new AbortController()
    let events: RunEvent[] = []
    let cursor = ''
    let busy = false
    let more = false // something happened while it read
    setH({ events, complete: false, error: undefined })
    const read = async () => {
      if (busy) {
        more = true
        return
      }
      busy = true
      try {
        for (;;) {
          more = false
          const q = new URLSearchParams({ limit: '1000' })
          if (cursor) q.set('cursor', cursor)
          const page = await get<EventPage>(`${runPath(id)}/events?${q}`, abort.signal)
          cursor = page.next_cursor
          if (page.events.length) events = events.concat(page.events)
          const full = page.events.length === 1000
          setH({ events, complete: !full, error: undefined })
          if ((!full && !more) || events.length >= most) break
        }
      } catch (error) {
        if (!abort.signal.aborted) setH({ events, complete: false, error })
      }
      busy = false
    }
    again.current = () => void read()
    void read()
    const stop = listen((news, gap) => {
      if (gap || news.some((e) => e.workflow_id === id)) void read()
    })
    return () => {
      abort.abort()
      stop()
    }
  }, [id])
  return h
}

// kinds: the state that an event's icon shows, and what it says.
const kinds: Record<string, [icon: string, text: string]> = {
  RunStarted: ['running', 'the run started'],
  StepScheduled: ['scheduled', 'was queued for a worker'],
  AttemptStarted: ['running', 'began'],
  AttemptFailed: ['failed', 'failed'],
  AttemptLost: ['timed_out', 'was lost with its worker'],
  StepCompleted: ['completed', 'completed'],
  StepFailed: ['failed', 'failed for good'],
  StepSkipped: ['skipped', 'was skipped'],
  StepDeferred: ['deferred', 'was put off to its timer'],
  StepBlocked: ['blocked', 'waits for a key'],
  StepTimedOut: ['timed_out', 'timed out'],
  KeysGranted: ['scheduled', 'got its keys'],
  RetrySet: ['retrying', 'will be tried again'],
  SignalAwaited: ['waiting', 'waits for a signal'],
  SignalReceived: ['completed', 'a signal arrived'],
  TimerSet: ['waiting', 'waits for a time'],
  TimerFired: ['completed', 'its time came'],
  AttemptEnded: ['cancelled', 'ended after it was cancelled'],
  RunCompleted: ['completed', 'the run completed'],
  RunFailed: ['failed', 'the run failed'],
  RunCancelled: ['cancelled', 'the run was cancelled'],
  RunReopened: ['running', 'the run was opened again'],
  RunQuarantined: ['quarantined', 'the run was quarantined'],
}

export const eventIcon = (e: RunEvent) => kinds[e.kind]?.[0] ?? 'pending'

// told is an event as a sentence.
export function told(e: RunEvent): string {
  const text = kinds[e.kind]?.[1] ?? e.kind
  const d = e.data ?? {}
  let out = e.step && !e.kind.startsWith('Run') ? `${e.step} ${text}` : text
  if (e.attempt) out += `, attempt ${e.attempt}`
  if (e.kind === 'AttemptStarted' && d.worker) out += ` on ${d.worker}`
  if (e.kind === 'SignalReceived') out += `: ${d.name}`
  if (d.code) out += `: ${d.code}${d.message ? ': ' + d.message : ''}`
  return out
}

// brief is an event's data in one line.
export function brief(e: RunEvent): string {
  const parts: string[] = []
  for (const [key, value] of Object.entries(e.data ?? {})) {
    if (key === 'stack' || key === 'digest' || key === 'objects') continue
    const text = typeof value === 'string' ? value : write(value)
    parts.push(`${key}=${text.length > 120 ? text.slice(0, 120) + '…' : text}`)
    if (parts.length === 5) break
  }
  return parts.join('  ')
}

export function Events({ history, at, selected }: { history: History; at: number | undefined; selected: string }) {
  const box = useRef<HTMLDivElement>(null)
  const [view, setView] = useState({ top: 0, height: 800 })
  const only = place.value.query.get('only') ?? ''
  const list = only
    ? history.events.filter((e) => (e.kind + ' ' + (e.step ?? '')).toLowerCase().includes(only.toLowerCase()))
    : history.events
  const from = Math.max(0, Math.floor(view.top / rowHeight) - 5)
  const to = Math.min(list.length, Math.ceil((view.top + view.height) / rowHeight) + 5)
  const measure = () => box.current && setView({ top: box.current.scrollTop, height: box.current.clientHeight })
  const chosen = at === undefined ? -1 : list.findIndex((e) => e.seq === at)
  useEffect(() => {
    measure()
    addEventListener('resize', measure)
    return () => removeEventListener('resize', measure)
  }, [])
  useEffect(() => {
    const el = box.current
    if (!el || chosen < 0) return
    if (chosen * rowHeight < el.scrollTop || (chosen + 1) * rowHeight > el.scrollTop + el.clientHeight) el.scrollTop = chosen * rowHeight - el.clientHeight / 2
  }, [chosen])
  const began = history.events[0]?.at
  return (
    <div class="events">
      <div class="bar filters">
        <input id="search" type="search" placeholder="Kind or step  ( / )" aria-label="Kind or step" value={only} onInput={(e) => change({ only: e.currentTarget.value }, true)} />
        <span class="dim">
          {list.length.toLocaleString('en')} of {history.events.length.toLocaleString('en')} events{history.complete ? '' : ', loading…'}
        </span>
      </div>
      <Problem error={history.error} />
      <div class="table" role="table" aria-label="Events" aria-rowcount={list.length}>
        <div class="tr head" role="row">
          <span role="columnheader" class="right">n</span>
          <span role="columnheader">Time</span>
          <span role="columnheader" class="right">After start</span>
          <span role="columnheader">Event</span>
          <span role="columnheader">Step</span>
          <span role="columnheader">Data</span>
        </div>
        <div class="rows" ref={box} onScroll={measure} role="rowgroup">
          <div class="spacer" style={{ height: list.length * rowHeight + 'px' }}>
            <div style={{ transform: `translateY(${from * rowHeight}px)` }}>
              {list.slice(from, to).map((e) => (
                <div
                  key={e.seq}
                  class={'tr' + (e.seq === at ? ' on' : '') + (at !== undefined && e.seq > at ? ' later' : '') + (e.step && e.step === selected ? ' same' : '')}
                  role="row"
                  onClick={() => change({ at: e.seq, step: e.step ?? selected })}
                >
                  <span role="cell" class="right num" title={'journal sequence ' + e.seq}>{e.n}</span>
                  <span role="cell" class="num">{clock(e.at)}</span>
                  <span role="cell" class="right num">{began ? '+' + span(Date.parse(e.at) - Date.parse(began)) : ''}</span>
                  <span role="cell">
                    <StateIcon state={eventIcon(e)} />{' '}
                    <button type="button" class="linkish">{e.kind}</button>
                  </span>
                  <span role="cell">
                    {e.step}
                    {e.attempt ? <span class="dim"> #{e.attempt}</span> : null}
                  </span>
                  <span role="cell" class="why dim">{e.newer_release ? 'written by a newer release' : brief(e)}</span>
                </div>
              ))}
            </div>
          </div>
        </div>
      </div>
    </div>
  )
}
