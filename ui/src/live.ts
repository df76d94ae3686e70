import { signal } from '@preact/signals'
import { get, signedOut } from './api'
import type { RunEvent, VersionInfo } from './types'

// One tab of a browser reads the stream of events and hands them to the others: it holds a lock, and when it goes, the next one
// takes over. Where there are no locks (plain HTTP from another machine) each tab reads by itself.

export const connected = signal<boolean | undefined>(undefined) // undefined: not known yet

type Listener = (events: RunEvent[], gap: boolean) => void

const listeners = new Set<Listener>()
let batch: RunEvent[] = []
let gap = false
let timer: number | undefined
let cursor = '' // id of the last event
const repaint = 250 // ms: at most four times a second

// listen calls fn with what happened, at most four times a second. gap says that events may have been missed.
export function listen(fn: Listener): () => void {
  listeners.add(fn)
  return () => listeners.delete(fn)
}

function flush() {
  timer = undefined
  const events = batch
  const missed = gap
  batch = []
  gap = false
  for (const fn of listeners) fn(events, missed)
}

function take(event: RunEvent | undefined) {
  if (event) batch.push(event)
  else gap = true
  if (batch.length > 5_000) {
    batch = []
    gap = true
  }
  timer ??= setTimeout(flush, repaint)
}

interface Message {
  id?: string
  event?: RunEvent
  connected?: boolean
}

function apply(m: Message) {
  if (m.id) cursor = m.id
  if (m.connected !== undefined) {
    if (m.connected && connected.value !== true) take(undefined) // what happened since the page asked is not in the stream
    connected.value = m.connected
  }
  if (m.event) take(m.event)
}

export function start() {
  const channel = 'BroadcastChannel' in window ? new BroadcastChannel('agnt5d-events') : undefined
  if (channel) {
    channel.onmessage = (e: MessageEvent<Message>) => {
      if ((e.data as { hello?: boolean }).hello) {
        if (leading) channel.postMessage({ id: cursor, connected: connected.value })
      } else apply(e.data)
    }
  }
  let leading = false
  const lead = () => {
    leading = true
    read((m) => {
      apply(m)
      channel?.postMessage(m)
    })
  }
  if (channel && navigator.locks) {
    channel.postMessage({ hello: true })
    void navigator.locks.request('agnt5d-events', () => {
      lead()
      return new Promise(() => {}) // until the tab goes
    })
  } else lead()
}

// read opens the stream, and opens it again whenever it has ended.
function read(tell: (m: Message) => void) {
  let source: EventSource | undefined
  const open = async () => {
    if (signedOut.value) return // signing in loads the page anew
    try {
      if (!cursor) {
        const v = await get<VersionInfo>('/version')
        if (!v.durable) return tell({ connected: true }) // a file: nothing happens in it
        source = new EventSource('/v1/events?after=' + v.durable)
      } else source = new EventSource('/v1/events?cursor=' + encodeURIComponent(cursor))
    } catch {
      return lost()
    }
    source.onopen = () => tell({ connected: true })
    source.onmessage = (e) => tell({ id: e.lastEventId, event: JSON.parse(e.data) as RunEvent })
    source.onerror = () => {
      const refused = source!.readyState === EventSource.CLOSED
      source!.close()
      if (refused) cursor = '' // of another journal, perhaps
      lost()
    }
  }
  const lost = () => {
    tell({ connected: false })
    setTimeout(open, 1_000)
  }
  void open()
}
