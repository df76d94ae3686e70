import { useEffect, useRef, useState } from 'preact/hooks'
import { get, runPath } from './api'
import { useAgain } from './asked'
import { Problem, StateIcon } from './bits'
import { clock, span } from './format'
import { listen } from './live'
import { change, place } from './route'
import { brief, eventIcon, told } from './told'
import type { EventPage, RunEvent } from './types'

const most = 50_000 // events that the page holds of one run
const rowHeight = 28

export interface History {
  events: RunEvent[]
  complete: boolean // false: still loading, or there are more than the page holds
  full: boolean // there are as many as the page holds
  error: unknown
}

// useHistory holds the events of a run, and adds what happens.
export function useHistory(id: string): History {
  const [h, setH] = useState<History>({ events: [], complete: false, full: false, error: undefined })
  const again = useRef(() => {})
  useAgain(h.error, () => again.current())
  useEffect(() => {
    const abort = new AbortController()
    let events: RunEvent[] = []
    let cursor = ''
    let busy = false
    let more = false // something happened while it read
    let full = false
    setH({ events, complete: false, full: false, error: undefined })
    const read = async () => {
      if (full) return
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
          const ended = page.events.length < 1000
          full = events.length >= most
          setH({ events, complete: ended && !full, full, error: undefined })
          if ((ended && !more) || full) break
        }
      } catch (error) {
        if (!abort.signal.aborted) setH({ events, complete: false, full, error })
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
          {list.length.toLocaleString('en')} of {history.events.length.toLocaleString('en')} events{history.full ? ', the first ones: the page holds no more' : history.complete ? '' : ', loading…'}
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
                  <span role="cell" class="why dim" title={told(e)}>{e.newer_release ? 'written by a newer release' : brief(e)}</span>
                </div>
              ))}
            </div>
          </div>
        </div>
      </div>
    </div>
  )
}
