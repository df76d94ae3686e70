import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import { get, runPath } from './api'
import { passing, useAgain } from './asked'
import { summary } from './banner'
import { listen } from './live'
import { place } from './route'
import type { RunHead, Status } from './types'

const pageSize = 100 // with the reasons of its runs a page has no more
const mostPages = 20 // that are read at once

// filters are what of an address the list is asked for.
export const filters = ['workflow', 'state', 'id_prefix', 'since', 'until', 'ended_since', 'error_code', 'text', 'stuck_for', 'include', 'sort']

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
  fresh: number // runs that began since
  more: () => void
  all: boolean // there are no more
  reload: () => void
  look: (from: number, to: number) => void // these rows are in view
}

interface Page {
  at: number // its first row
  cursor: string
}

// useRuns holds the list, as far as it was scrolled, and keeps its rows as they are now. A run that begins is only counted, unless
// nobody would lose the row they look at.
export function useRuns(key: string, query: URLSearchParams): List {
  const [runs, setRuns] = useState<RunHead[]>([])
  const [loaded, setLoaded] = useState('')
  const [error, setError] = useState<unknown>()
  const [fresh, setFresh] = useState(0)
  const [turn, setTurn] = useState(0)
  const state = useRef({ cursor: '', pages: [] as Page[], busy: false, retry: () => {}, list: undefined as AbortSignal | undefined, seen: new Set<string>(), view: { from: 0, to: 0 } })
  const s = state.current
  const base = useMemo(() => listQuery(query, Date.now()), [key, turn])
  const now = useRef(runs)
  now.current = runs
  useAgain(error, () => s.retry())

  const load = async (cursor: string, abort?: AbortSignal) => {
    const q = new URLSearchParams(base)
    q.set('include', [q.get('include'), 'reason'].filter(Boolean).join(','))
    q.set('limit', String(pageSize))
    if (cursor) q.set('cursor', cursor)
    const page = await get<{ runs: RunHead[]; next_cursor?: string }>('/v1/runs?' + q, abort)
    return { runs: page.runs, next: page.next_cursor ?? '' }
  }

  // first asks for the list from its top, as far down as it was scrolled.
  const first = async (abort: AbortSignal) => {
    const want = loaded === key ? Math.max(pageSize, runs.length) : pageSize
    let list: RunHead[] = []
    let cursor = ''
    const pages: Page[] = []
    // A page may be short although there is more: the work for one is bounded.
    for (let i = 0; i === 0 || (list.length < want && cursor && i < mostPages); i++) {
      pages.push({ at: list.length, cursor })
      const page = await load(cursor, abort)
      list = list.concat(page.runs)
      cursor = page.next
    }
    return { list, cursor, pages }
  }

  useEffect(() => {
    const abort = new AbortController()
    s.busy = true
    s.list = abort.signal
    first(abort.signal)
      .then(({ list, cursor, pages }) => {
        s.cursor = cursor
        s.pages = pages
        s.seen = new Set(list.map((r) => r.workflow_id))
        setRuns(list)
        setFresh(0)
        setError(undefined)
      })
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

  useEffect(
    () =>
      listen((events, gap) => {
        if (gap) {
          setTurn((n) => n + 1)
          return
        }
        const inView = new Set(now.current.slice(s.view.from, s.view.to).map((r) => r.workflow_id))
        const touched = new Set<string>()
        let begun = 0
        for (const e of events) {
          const id = e.workflow_id
          if (!id) continue
          if (e.kind === 'RunStarted' && !s.seen.has(id)) {
            s.seen.add(id)
            begun++
          } else if (inView.has(id)) touched.add(id)
        }
        refresh(touched)
        if (begun) {
          if (restful()) setTurn((n) => n + 1)
          else setFresh((n) => n + begun)
        }
      }),
    [key],
  )

  // What no event tells, workers that come and go and keys of other runs, the pages in view are asked for.
  const look = async () => {
    const { from, to } = s.view
    if (document.hidden || s.busy || !now.current.slice(from, to).some((r) => r.state === 'running' || r.state === 'quarantined')) return
    const pages = s.pages.filter((p, i) => p.at < to && (s.pages[i + 1]?.at ?? Infinity) > from)
    const list = s.list
    for (const p of pages) {
      const page = await load(p.cursor, list).catch(() => undefined)
      if (page && !list?.aborted) put(new Map(page.runs.map((r) => [r.workflow_id, { reason: undefined, step_counts: undefined, ...r }])))
    }
  }
  useEffect(() => {
    const t = setInterval(() => void look(), 5_000)
    return () => clearInterval(t)
  }, [key, turn])

  const more = () => {
    if (s.busy || !s.cursor) return
    s.busy = true
    const list = s.list // another one begins: this page is not part of it
    const from = s.cursor
    load(from, list)
      .then((page) => {
        s.pages.push({ at: now.current.length, cursor: from })
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
    more: () => error === undefined && more(),
    all: !s.cursor,
    reload: () => setTurn((n) => n + 1),
    look: (from, to) => {
      // Rows that come into view may have been asked for long ago.
      const stale = now.current.slice(from, to).filter((r, i) => (from + i < s.view.from || from + i >= s.view.to) && from + i >= pageSize && r.state === 'running')
      s.view = { from, to }
      if (stale.length) refresh(stale.map((r) => r.workflow_id))
    },
  }
}

// restful says whether the list may show a new row at its top by itself: it is not scrolled, and no pointer and no key is on a row.
function restful(): boolean {
  const box = document.querySelector('.rows')
  return !box || (box.scrollTop === 0 && !box.matches(':hover') && !place.value.query.get('row') && !document.querySelector('.picked'))
}

const headOf = (st: Status): Partial<RunHead> => {
  const out: Partial<RunHead> = { state: st.state, reason: st.reasons && summary(st.reasons), step_counts: st.step_counts }
  if (st.state === 'cancelled' && st.reason) out.cancel_reason = st.reason
  if (st.completed_at) out.completed_at = st.completed_at
  if (st.error) {
    out.error = st.error.step + ': ' + st.error.code
    out.error_message = st.error.message
  }
  return out
}
