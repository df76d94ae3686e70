import { useEffect, useLayoutEffect, useState } from 'preact/hooks'
import { StateIcon } from './bits'
import { clock, span } from './format'
import type { History } from './events'
import { change } from './route'
import { eventIcon, eventMark, told } from './told'

const speed = 300 // ms an event, while it plays

// where gives the place of a sequence among the events; the last one when there is none.
export function where(history: History, at: number | undefined): number {
  const last = history.events.length - 1
  if (at === undefined) return last
  let low = 0
  let high = last
  while (low < high) {
    const mid = (low + high + 1) >> 1
    if (history.events[mid]!.seq <= at) low = mid
    else high = mid - 1
  }
  return low
}

const mostMarks = 300

// Travel is the slider through a run's events. At its right end the run is shown as it is now.
export function Travel({ history, at, live }: { history: History; at: number | undefined; live: number }) {
  const [playing, setPlaying] = useState(false)
  const { events } = history
  const last = events.length - 1
  const i = where(history, at)
  const to = (n: number) => change({ at: n >= last ? (n > last ? '' : events[last]?.seq) : events[Math.max(0, n)]?.seq }, true)
  const now = () => change({ at: '' }, true)
  useEffect(() => {
    if (!playing) return
    if (at === undefined || i >= last) {
      setPlaying(false)
      now()
      return
    }
    const t = setTimeout(() => to(i + 1), speed)
    return () => clearTimeout(t)
  }, [playing, i, last, at])
  const play = () => {
    if (!playing && at === undefined) to(0)
    setPlaying(!playing)
  }
  // At once: the next key must meet what this one changed.
  useLayoutEffect(() => {
    const key = (e: CustomEvent<string>) => {
      if (e.detail === '[') to(i - 1)
      else if (e.detail === ']') at !== undefined && to(i >= last ? last + 1 : i + 1)
      else if (e.detail === ' ') play()
    }
    document.addEventListener('page-key', key as EventListener)
    return () => document.removeEventListener('page-key', key as EventListener)
  })
  if (last < 0) return null
  const event = events[i]
  const later = at === undefined ? 0 : Math.max(live, events.length) - (i + 1)
  const flagged = events.flatMap((e, n) => (eventMark(e) ? [{ n, tone: eventMark(e), text: told(e) }] : [])).slice(0, mostMarks)
  return (
    <div class={'travel' + (at === undefined ? '' : ' past')} aria-label="Time travel">
      <div class="controls">
        <button type="button" class="small" aria-label="One event back ( [ )" title="One event back  [" onClick={() => to(i - 1)} disabled={i <= 0}>‹</button>
        <button type="button" class="small" aria-label={playing ? 'Pause' : 'Play'} title="Play or pause  space" onClick={play}>{playing ? '❚❚' : '▶'}</button>
        <button type="button" class="small" aria-label="One event on ( ] )" title="One event on  ]" onClick={() => to(i + 1)} disabled={at === undefined}>›</button>
      </div>
      <div class="track">
        <div class="marks" aria-hidden="true">
          {flagged.map((m) => (
            <i class={'t-' + m.tone} title={m.text} style={{ left: (last ? (100 * m.n) / last : 0) + '%' }} />
          ))}
        </div>
        <input type="range" min={0} max={last} step={1} value={i} aria-label="Event" aria-valuetext={event && `event ${event.n}: ${told(event)}`} onInput={(e) => to(Number(e.currentTarget.value))} />
      </div>
      <div class="strip">
        {at !== undefined && event ? (
          <>
            <span class="num">event {event.n} of {Math.max(live, events.length)}</span>
            <span class="num dim" title={'journal sequence ' + event.seq}>{clock(event.at)} · +{span(Date.parse(event.at) - Date.parse(events[0]!.at))}</span>
            <span class="what"><StateIcon state={eventIcon(event)} /> {told(event)}</span>
            <span class="grow" />
            {later > 0 && <span class="dim">{later} later</span>}
            <button type="button" class="small primary" onClick={now}>Back to now</button>
          </>
        ) : (
          <>
            <span class="num dim">{history.full && `the first ${events.length.toLocaleString('en')} of `}{Math.max(live, events.length).toLocaleString('en')} events</span>
            <span class="what dim">{event && !history.full && <><StateIcon state={eventIcon(event)} /> {told(event)}</>}</span>
            <span class="grow" />
            <span class="dim">now</span>
          </>
        )}
      </div>
    </div>
  )
}
