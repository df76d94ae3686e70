import { useEffect, useRef, useState } from 'preact/hooks'
import { get, runPath } from './api'
import { passing, useAgain } from './asked'
import { summary } from './banner'
import { listen } from './live'
import type { RunHead, Status } from './types'

const pageSize = 100 // with the reasons of its runs a page has no more
const mostPages = 20 // that are read at once

// filters are what of an address the list is asked for.
export const filters = ['workflow', 'state', 'id_prefix', 'paused', 'tag', 'since', 'until', 'ended_since', 'error_code', 'text', 'stuck_for', 'include', 'sort']

// ranges are the choices of "started", as milliseconds before now. The address holds the span, so that it stays true tomorrow.
const ranges: Record<string, number> = { '15m': 900_000, '1h': 3_600_000, '24h': 86_400_000, '7d': 604_800_000 }

// listQuery is what the daemon is asked, from what stands in the address.
export function listQuery(query: URLSearchParams, at: number): URLSearchParams {
  const out = new URLSearchParams()
  for (const name of filters) {
    const value = query.get(name)
    if (!value) continue
    const back = name === 'since' ? ranges[value] : undefined
    out.set(name, back ? new Date(at - back).toISOString() : value)
  }
  return out
}

export interface List {
  runs: RunHead[]
  loaded: boolean
  error: unknown
  fresh: number // runs that have come to match since
  gone: ReadonlySet<string> // rows that do not match any more
  more: () => void
  all: boolean // there are no more
  reload: () => void
  look: (from: number, to: number) => void // these rows are in view
  left: () => void // the pointer has left the rows
}

interface Page {
  at: number // its first row
  cursor: string
}

interface Part {
  list: RunHead[]
  cursor: string // of what follows; empty: nothing does
  pages: Page[]
}

const nobody: ReadonlySet<string> = new Set()
const checkEvery = 1_000 // ms, at the least

// changed compares rows with what the daemon answers for that part of the list: the runs that are new in it, and the rows that are not
// in it any more. What lies behind the last row that both have says nothing, when there is more.
export function changed(rows: RunHead[], answer: RunHead[], all: boolean): { fresh: number; gone: string[] } {
  const known = new Set(rows.map((r) => r.workflow_id))
  const there = new Set(answer.map((r) => r.workflow_id))
  const last = (list: RunHead[], of: Set<string>) => (all ? list.length : list.findLastIndex((r) => of.has(r.workflow_id)) + 1)
  return {
    fresh: answer.slice(0, last(answer, known)).filter((r) => !known.has(r.workflow_id)).length,
    gone: rows.slice(0, last(rows, there)).filter((r) => !there.has(r.workflow_id)).map((r) => r.workflow_id),
  }
}

// useRuns holds the list, as far as it was scrolled, and keeps it as it is now. While somebody is at its rows none comes or goes: those
// that would come are counted, and those that would go are marked.
export function useRuns(key: string, query: URLSearchParams): List {
  const [runs, setRuns] = useState<RunHead[]>([])
  const [loaded, setLoaded] = useState('')
  const [error, setError] = useState<unknown>()
  const [fresh, setFresh] = useState(0)
  const [gone, setGone] = useState(nobody)
  const [turn, setTurn] = useState(0)
  const state = useRef({ cursor: '', pages: [] as Page[], base: new URLSearchParams(), busy: false, retry: () => {}, list: undefined as AbortSignal | undefined, view: { from: 0, to: 0 } })
  const s = state.current
  const left = useRef(() => {})
  const now = useRef({ runs, stale: false })
  now.current = { runs, stale: fresh > 0 || gone.size > 0 }
  useAgain(error, () => s.retry())

  const load = async (base: URLSearchParams, cursor: string, abort?: AbortSignal) => {
    const q = new URLSearchParams(base)
    q.set('include', [q.get('include'), 'reason'].filter(Boolean).join(','))
    q.set('limit', String(pageSize))
    if (cursor) q.set('cursor', cursor)
    const page = await get<{ runs: RunHead[]; next_cursor?: string }>('/v1/runs?' + q, abort)
    return { runs: page.runs, next: page.next_cursor ?? '' }
  }

  // top asks for the list from its top, so many rows at least.
  const top = async (base: URLSearchParams, want: number, abort?: AbortSignal): Promise<Part> => {
    let list: RunHead[] = []
    let cursor = ''
    const pages: Page[] = []
    // A page may be short although there is more: the work for one is bounded.
    for (let i = 0; i === 0 || (list.length < want && cursor && i < mostPages); i++) {
      pages.push({ at: list.length, cursor })
      const page = await load(base, cursor, abort)
      list = list.concat(page.runs)
      cursor = page.next
    }
    return { list, cursor, pages }
  }

  const adopt = (base: URLSearchParams, part: Part) => {
    s.base = base
    s.cursor = part.cursor
    s.pages = part.pages
    setRuns(part.list)
    setFresh(0)
    setGone(nobody)
    setError(undefined)
  }

  useEffect(() => {
    const abort = new AbortController()
    s.busy = true
    s.list = abort.signal
    const base = listQuery(query, Date.now())
    top(base, loaded === key ? Math.max(pageSize, runs.length) : pageSize, abort.signal)
      .then((part) => adopt(base, part))
      .catch((e) => {
        s.retry = () => setTurn((n) => n + 1)
        if (abort.signal.aborted) return
        setError(e)
        if (!passing(e)) setRuns([])
      })
      .finally(() => {
        if (abort.signal.aborted) return
        setLoaded(key)
        s.busy = false
      })
    return () => abort.abort()
  }, [key, turn])

  // put sets rows that are known anew.
  const put = (news: Map<string, Partial<RunHead>>) =>
    setRuns((old) => old.map((r) => (news.has(r.workflow_id) ? { ...r, ...news.get(r.workflow_id) } : r)))

  // compare sets the rows of a part of the list as the daemon answers them, and marks those that are gone.
  const compare = (rows: RunHead[], answer: RunHead[], all: boolean): number => {
    const { fresh, gone } = changed(rows, answer, all)
    put(new Map(answer.map((r) => [r.workflow_id, { reason: undefined, step_counts: undefined, paused: false, ...r }])))
    setGone((old) => {
      const next = new Set(old)
      for (const r of answer) next.delete(r.workflow_id)
      for (const id of gone) next.add(id)
      return next.size || old.size ? next : old
    })
    return fresh
  }

  // refresh asks for runs by themselves, four at once.
  const refresh = (ids: Iterable<string>) => {
    const todo = [...ids]
    const next = async () => {
      for (let id = todo.pop(); id !== undefined; id = todo.pop()) {
        const st = await get<Status>(runPath(id) + '?steps=none').catch(() => undefined) // it has gone, or the next look comes soon
        if (st) put(new Map([[id, headOf(st)]]))
      }
    }
    for (let i = 0; i < 4; i++) void next()
  }

  // Runs come to match and cease to: by what happens to them, and by time. The top of the list is asked for, at most once a second.
  useEffect(() => {
    const moves = ['state', 'paused', 'tag', 'error_code', 'text', 'ended_since', 'sort', 'stuck_for'].some((f) => query.get(f))
    const byTime = ['stuck_for', 'since', 'ended_since'].some((f) => query.get(f))
    const matters = (kind: string) => kind === 'RunStarted' || kind === 'RunsDeleted' || (moves && kind.startsWith('Run')) || !!query.get('stuck_for')
    const abort = new AbortController()
    let wanted = false
    let resting = false
    const check = async () => {
      if (resting || s.busy || document.hidden) {
        wanted = true
        return
      }
      wanted = false
      resting = true
      const began = performance.now()
      const base = listQuery(query, Date.now())
      const { list, pages } = s
      const part = await top(base, pageSize, abort.signal).catch(() => undefined)
      if (abort.signal.aborted) return
      if (!part || list?.aborted || s.busy || s.pages !== pages) wanted = true // it is of before what was asked for meanwhile
      else if (restful()) adopt(base, part)
      else setFresh(compare(now.current.runs, part.list, !part.cursor))
      setTimeout(() => {
        resting = false
        if (wanted && part && !abort.signal.aborted) void check()
      }, Math.max(checkEvery, 4 * (performance.now() - began)))
    }
    const stop = listen((events, gap) => {
      if (gap) {
        setTurn((n) => n + 1)
        return
      }
      const inView = new Set(now.current.runs.slice(s.view.from, s.view.to).map((r) => r.workflow_id))
      refresh(new Set(events.map((e) => e.workflow_id ?? '').filter((id) => inView.has(id))))
      if (events.some((e) => matters(e.kind))) void check()
    })
    left.current = () => now.current.stale && void check()
    const every = setInterval(() => (byTime || wanted || now.current.stale) && void check(), 5_000)
    return () => {
      abort.abort()
      stop()
      clearInterval(every)
    }
  }, [key])

  // What no event tells, workers that come and go and keys of other runs, the pages in view are asked for.
  const look = async () => {
    const { from, to } = s.view
    if (document.hidden || s.busy || !now.current.runs.slice(from, to).some((r) => ['running', 'finishing', 'quarantined'].includes(r.state))) return
    const { list, base, pages } = s
    for (const [i, p] of pages.entries()) {
      const end = pages[i + 1]?.at ?? Infinity
      if (p.at >= to || end <= from) continue
      const page = await load(base, p.cursor, list).catch(() => undefined)
      if (page && !list?.aborted && s.pages === pages) compare(now.current.runs.slice(p.at, end), page.runs, false)
    }
  }
  useEffect(() => {
    const t = setInterval(() => void look(), 5_000)
    return () => clearInterval(t)
  }, [key, turn])

  const more = () => {
    if (s.busy || !s.cursor) return
    s.busy = true
    const { list, pages, cursor } = s // another one begins: this page is not part of it
    load(s.base, cursor, list)
      .then((page) => {
        if (s.pages !== pages) return
        s.pages = [...pages, { at: now.current.runs.length, cursor }]
        s.cursor = page.next
        setRuns((old) => old.concat(page.runs))
        setError(undefined)
      })
      .catch((e) => {
        s.retry = more
        if (!list?.aborted) setError(e)
      })
      .finally(() => list?.aborted || (s.busy = false))
  }

  return {
    runs,
    loaded: loaded === key,
    error,
    fresh,
    gone,
    more: () => error === undefined && more(),
    all: !s.cursor,
    reload: () => setTurn((n) => n + 1),
    left: () => left.current(),
    look: (from, to) => {
      // Rows that come into view may have been asked for long ago.
      const stale = now.current.runs.slice(from, to).filter((r, i) => (from + i < s.view.from || from + i >= s.view.to) && from + i >= pageSize && r.state === 'running')
      s.view = { from, to }
      if (stale.length) refresh(stale.map((r) => r.workflow_id))
    },
  }
}

// restful says whether rows may come and go: the list is not scrolled, no pointer is on it and no row is ticked.
function restful(): boolean {
  const box = document.querySelector('.rows')
  return !box || (box.scrollTop === 0 && !box.matches(':hover') && !document.querySelector('.picked'))
}

const headOf = (st: Status): Partial<RunHead> => {
  const out: Partial<RunHead> = { state: st.state, paused: !!st.paused, reason: st.reasons && summary(st.reasons), step_counts: st.step_counts }
  if (st.state === 'cancelled' && st.reason) out.cancel_reason = st.reason
  if (st.completed_at) out.completed_at = st.completed_at
  if (st.error) {
    out.error = (st.error.step && st.error.step + ': ') + st.error.code
    out.error_message = st.error.message
  }
  return out
}
