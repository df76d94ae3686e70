import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks'
import { ask, get, runPath } from './api'
import { passing, useAgain, useAsked, useForgotten, usePolled } from './asked'
import { Ago, Empty, may, now, ofFile, Problem, State } from './bits'
import { act } from './dialog'
import { between, command, count, localTimes } from './format'
import { moving, summary } from './banner'
import { listen } from './live'
import { change, go, link, place } from './route'
import { Command } from './bits'
import type { RunHead, Status, Workflow } from './types'

const rowHeight = 34
const pageSize = 100

// views are the filters that have a name, in the order of the tabs.
export const views: { name: string; query: Record<string, string>; count?: string; bad?: boolean }[] = [
  { name: 'All', query: {} },
  { name: 'In flight', query: { state: 'running' }, count: 'running' },
  { name: 'Failed', query: { state: 'failed' }, count: 'failed', bad: true },
  { name: 'Stuck over 10 min', query: { stuck_for: '10m' }, count: 'stuck', bad: true },
  { name: 'Quarantined', query: { state: 'quarantined' }, count: 'quarantined', bad: true },
  { name: 'Completed', query: { state: 'completed' }, count: 'completed' },
  { name: 'Cancelled', query: { state: 'cancelled' }, count: 'cancelled' },
]

const filters = ['workflow', 'state', 'id_prefix', 'since', 'until', 'ended_since', 'error_code', 'text', 'stuck_for', 'include', 'tag', 'sort']

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

export function Runs() {
  const { query } = place.value
  const key = filters.map((f) => f + '=' + (query.get(f) ?? '')).join('&')
  const list = useRuns(key, query)
  const chosen = Math.min(list.runs.length - 1, Number(query.get('row') ?? -1))
  useRunKeys(list.runs, chosen)
  const workflows = useAsked('workflows', (s) => get<{ workflows: Workflow[] }>('/v1/workflows', s))
  const counts = usePolled(ofFile ? '' : 'counts', countRuns, 3_000)
  const filtered = filters.some((f) => query.get(f))
  return (
    <main class="runs">
      <div class="bar">
        <h1>Runs</h1>
        <nav class="views" aria-label="Views">
          {views.map((v) => (
            <a class={current(query, v.query) ? 'on' : ''} href={link('runs', '', '', keep(query, v.query))} aria-current={current(query, v.query) ? 'page' : undefined}>
              {v.name}
              {v.count && counts.value && <span class={'n' + (v.bad && counts.value[v.count] ? ' t-bad' : '')}>{(counts.value[v.count] ?? 0).toLocaleString('en')}</span>}
            </a>
          ))}
        </nav>
      </div>
      <div class="bar filters" role="search">
        <input
          id="search"
          type="search"
          placeholder="Id begins with…  ( / )"
          aria-label="Id begins with"
          value={query.get('id_prefix') ?? ''}
          onInput={(e) => change({ id_prefix: e.currentTarget.value.trim(), row: '' }, true)}
        />
        <select aria-label="Workflow" value={query.get('workflow') ?? ''} onChange={(e) => change({ workflow: e.currentTarget.value, row: '' })}>
          <option value="">All workflows</option>
          {(workflows.value?.workflows ?? []).map((w) => (
            <option value={w.name}>{w.name}</option>
          ))}
        </select>
        <select aria-label="Started" value={query.get('since') ?? ''} onChange={(e) => change({ since: e.currentTarget.value, row: '' })}>
          <option value="">Started at any time</option>
          <option value="15m">in the last 15 minutes</option>
          <option value="1h">in the last hour</option>
          <option value="24h">in the last 24 hours</option>
          <option value="7d">in the last 7 days</option>
        </select>
        <input type="search" placeholder="Text of the error" aria-label="Text of the error" value={query.get('text') ?? ''} onChange={(e) => change({ text: e.currentTarget.value.trim(), row: '' })} />
        {filtered && <a href={link('runs')}>Clear</a>}
        {filtered && may('operate') && <Bulk query={query} />}
        <span class="grow" />
        {list.fresh > 0 && (
          <button type="button" class="pill" onClick={list.reload}>
            {list.fresh} new
          </button>
        )}
      </div>
      <Problem error={list.error} />
      {list.loaded && list.runs.length === 0 && !list.error ? (
        filtered ? <Empty>No run matches. <a href={link('runs')}>Show all runs</a></Empty> : <First workflows={workflows.value?.workflows} />
      ) : (
        <Table list={list} chosen={chosen} />
      )}
    </main>
  )
}

async function countRuns(signal: AbortSignal): Promise<Record<string, number>> {
  const c = await get<{ states: Record<string, number>; stuck: number }>('/v1/run-counts?stuck_for=10m', signal)
  return { ...c.states, stuck: c.stuck }
}

// Bulk does one thing to every run that the filters name, after the daemon has said how many those are.
function Bulk({ query }: { query: URLSearchParams }) {
  const [error, setError] = useState<unknown>()
  useForgotten(error, () => setError(undefined))
  const ended = ['failed', 'cancelled'].includes(query.get('state') ?? '')
  const verb = ended ? 'retry' : 'cancel'
  const offer = async () => {
    const q = listQuery(query, Date.now())
    q.delete('sort')
    try {
      const { value } = await ask<{ matched: number }>(`/v1/runs/${verb}?${q}&dry_run=true`, { method: 'POST' })
      setError(undefined)
      const n = value.matched
      act({
        title: `${ended ? 'Retry' : 'Cancel'} ${count(n, 'run')}`,
        what: n === 0 ? 'No run that the filters name is in a state in which this can be done.' : ended ? 'Each is opened again: what failed or was cancelled starts anew, completed steps are not run again.' : 'Each ends as cancelled: open steps are cancelled, workers are told to stop.',
        button: ended ? 'Retry all' : 'Cancel all',
        danger: !ended,
        ...(n > 100 ? { confirm: String(n) } : {}),
        ...(ended ? {} : { fields: [{ name: 'reason', label: 'Reason', hint: 'kept in the history' }] }),
        line: (f) => command(verb, '--all', ...[...q].flatMap(([k, v]) => ['--' + k.replaceAll('_', '-'), v]), ...(f.reason ? ['--reason', f.reason] : [])),
        send: async (f) => void (await ask(`/v1/runs/${verb}?${q}`, { method: 'POST', body: f.reason ? { reason: f.reason } : {} })),
      })
    } catch (e) {
      setError(e)
    }
  }
  return (
    <>
      <button type="button" class="small" onClick={offer}>{ended ? 'Retry all matching…' : 'Cancel all matching…'}</button>
      <Problem error={error} />
    </>
  )
}

function current(query: URLSearchParams, want: Record<string, string>): boolean {
  return ['state', 'stuck_for'].every((f) => (query.get(f) ?? '') === (want[f] ?? ''))
}

// keep changes the view and leaves the other filters.
function keep(query: URLSearchParams, want: Record<string, string>): URLSearchParams {
  const out = new URLSearchParams(query)
  for (const f of ['state', 'stuck_for', 'row']) out.delete(f)
  for (const [k, v] of Object.entries(want)) out.set(k, v)
  return out
}

interface List {
  runs: RunHead[]
  details: Map<string, Status>
  loaded: boolean
  error: unknown
  fresh: number // runs that began since
  more: () => void
  reload: () => void
  look: (ids: string[]) => void // at what these runs wait for
}

// useRuns holds the list, as far as it was scrolled, and keeps its rows as they are now. A run that begins is only counted, unless
// nobody would lose the row they look at.
function useRuns(key: string, query: URLSearchParams): List {
  const [runs, setRuns] = useState<RunHead[]>([])
  const [loaded, setLoaded] = useState('')
  const [error, setError] = useState<unknown>()
  const [fresh, setFresh] = useState(0)
  const [turn, setTurn] = useState(0)
  const [, redraw] = useState(0)
  const state = useRef({ cursor: '', busy: false, retry: () => {}, list: undefined as AbortSignal | undefined, details: new Map<string, Status>(), asked: new Set<string>(), seen: new Set<string>(), shown: [] as string[] })
  const s = state.current
  const base = useMemo(() => listQuery(query, Date.now()), [key, turn])
  useAgain(error, () => s.retry())

  const load = async (cursor: string, abort?: AbortSignal) => {
    const q = new URLSearchParams(base)
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
    // A page may be short although there is more: the work for one is bounded.
    for (let i = 0; i === 0 || (list.length < want && cursor && i < 20); i++) {
      const page = await load(cursor, abort)
      list = list.concat(page.runs)
      cursor = page.next
    }
    return { list, cursor }
  }

  useEffect(() => {
    const abort = new AbortController()
    s.busy = true
    first(abort.signal)
      .then(({ list, cursor }) => {
        s.cursor = cursor
        setRuns(list)
        setFresh(0)
        setError(undefined)
        s.asked.clear()
        s.seen = new Set(list.map((r) => r.workflow_id))
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
    s.list = abort.signal
    return () => abort.abort()
  }, [key, turn])

  const refresh = (ids: Iterable<string>) => {
    const todo = [...ids]
    const next = async () => {
      for (let id = todo.pop(); id !== undefined; id = todo.pop()) {
        const one = id
        await get<Status>(runPath(one) + '?steps=none').then(
          (st) => {
            s.details.set(one, st)
            setRuns((old) => old.map((r) => (r.workflow_id === one ? { ...r, ...headOf(st) } : r)))
          },
          (e) => passing(e) || s.details.delete(one),
        )
        redraw((n) => n + 1)
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
        const touched = new Set<string>()
        let begun = 0
        for (const e of events) {
          const id = e.workflow_id
          if (!id) continue
          if (e.kind === 'RunStarted' && !s.seen.has(id)) {
            s.seen.add(id)
            begun++
          } else if (s.asked.has(id)) touched.add(id)
        }
        refresh(touched)
        if (begun) {
          if (restful()) setTurn((n) => n + 1)
          else setFresh((n) => n + begun)
        }
      }),
    [key],
  )

  // What no event tells: workers that come and go, keys of other runs.
  useEffect(() => {
    const t = setInterval(() => document.hidden || refresh(s.shown), 5_000)
    return () => clearInterval(t)
  }, [key])

  const more = () => {
    if (s.busy || !s.cursor) return
    s.busy = true
    const list = s.list // another one begins: this page is not part of it
    load(s.cursor, list)
      .then((page) => {
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
    details: s.details,
    loaded: loaded === key,
    error,
    fresh,
    more: () => error === undefined && more(),
    reload: () => setTurn((n) => n + 1),
    look: (ids) => {
      s.shown = ids
      const unknown = ids.filter((id) => !s.asked.has(id))
      for (const id of unknown) s.asked.add(id)
      if (unknown.length) refresh(unknown)
    },
  }
}

// restful says whether the list may show a new row at its top by itself: it is not scrolled, and no pointer and no key is on a row.
function restful(): boolean {
  const box = document.querySelector('.rows')
  return !box || (box.scrollTop === 0 && !box.matches(':hover') && !place.value.query.get('row'))
}

const headOf = (st: Status): Partial<RunHead> => {
  const out: Partial<RunHead> = { state: st.state }
  if (st.completed_at) out.completed_at = st.completed_at
  if (st.error) {
    out.error = st.error.step + ': ' + st.error.code
    out.error_message = st.error.message
  }
  return out
}

function Table({ list, chosen }: { list: List; chosen: number }) {
  const box = useRef<HTMLDivElement>(null)
  const [view, setView] = useState({ top: 0, height: 800 })
  const first = Math.max(0, Math.floor(view.top / rowHeight) - 5)
  const last = Math.min(list.runs.length, Math.ceil((view.top + view.height) / rowHeight) + 5)
  const shown = list.runs.slice(first, last)
  const measure = () => box.current && setView({ top: box.current.scrollTop, height: box.current.clientHeight })
  useEffect(() => {
    measure()
    addEventListener('resize', measure)
    return () => removeEventListener('resize', measure)
  }, [])
  useEffect(() => {
    list.look(shown.filter((r) => r.state === 'running' || r.state === 'quarantined').map((r) => r.workflow_id))
    if (last > list.runs.length - 30) list.more()
  })
  useEffect(() => {
    const el = box.current
    if (!el || chosen < 0) return
    if (chosen * rowHeight < el.scrollTop) el.scrollTop = chosen * rowHeight
    if ((chosen + 1) * rowHeight > el.scrollTop + el.clientHeight) el.scrollTop = (chosen + 1) * rowHeight - el.clientHeight
  }, [chosen])
  return (
    <div class="table" role="table" aria-label="Runs" aria-rowcount={list.runs.length}>
      <div class="tr head" role="row">
        <span role="columnheader">State</span>
        <span role="columnheader">Run</span>
        <span role="columnheader">Workflow</span>
        <span role="columnheader">Why</span>
        <span role="columnheader" class="right">Steps</span>
        <span role="columnheader" class="right">Took</span>
        <span role="columnheader" class="right">Started</span>
      </div>
      <div class="rows" ref={box} onScroll={measure} role="rowgroup">
        <div class="spacer" style={{ height: list.runs.length * rowHeight + 'px' }}>
          <div style={{ transform: `translateY(${first * rowHeight}px)` }}>
            {shown.map((r, i) => (
              <Row key={r.workflow_id} run={r} detail={list.details.get(r.workflow_id)} on={first + i === chosen} />
            ))}
          </div>
        </div>
      </div>
    </div>
  )
}

function Row({ run, detail, on }: { run: RunHead; detail: Status | undefined; on: boolean }) {
  const counts = detail?.step_counts
  const total = counts ? Object.values(counts).reduce((a, b) => a + b, 0) : 0
  const settled = counts ? (counts.completed ?? 0) + (counts.skipped ?? 0) : 0
  const href = link('run', run.workflow_id)
  return (
    <div class={'tr' + (on ? ' on' : '')} role="row" onClick={(e) => (e.target as Element).closest('a') || go(href)}>
      <span role="cell">
        <State state={run.state} />
      </span>
      <span role="cell" class="id">
        <a href={href}>{run.workflow_id}</a>
      </span>
      <span role="cell">
        <a class="plain" href={link('workflow', run.workflow_name, '', { version: String(run.version) })}>
          {run.workflow_name} <span class="dim">v{run.version}</span>
        </a>
      </span>
      <span role="cell" class="why">
        <Why run={run} detail={detail} />
      </span>
      <span role="cell" class="right num">{total ? `${settled}/${total}` : ''}</span>
      <span role="cell" class="right num">{run.state === 'running' ? between(run.created_at, undefined, now.value) : run.completed_at ? between(run.created_at, run.completed_at, 0) : ''}</span>
      <span role="cell" class="right num">
        <Ago time={run.created_at} />
      </span>
    </div>
  )
}

function Why({ run, detail }: { run: RunHead; detail: Status | undefined }) {
  if (run.state === 'failed') {
    const text = run.error_message ? `${run.error}: ${run.error_message}` : (run.error ?? '')
    return <span class="t-bad" title={text}>{text}</span>
  }
  const reason = detail?.reasons && summary(detail.reasons)
  if (!reason) return detail?.reason ? <span class="dim">{detail.reason}</span> : null
  const text = localTimes(reason.detail)
  return (
    <span class={moving(reason) ? 'dim' : 't-wait'} title={text}>
      {reason.step && <b>{reason.step} </b>}
      {text}
      {reason.count ? ` (and ${reason.count - 1} more)` : ''}
    </span>
  )
}

function useRunKeys(runs: RunHead[], chosen: number) {
  // At once: the next key must meet what this one changed.
  useLayoutEffect(() => {
    const key = (e: CustomEvent<string>) => {
      if (e.detail === 'j') change({ row: Math.min(runs.length - 1, chosen + 1) }, true)
      else if (e.detail === 'k') change({ row: Math.max(0, chosen - 1) }, true)
      else if (e.detail === 'Enter' && runs[chosen]) go(link('run', runs[chosen].workflow_id))
    }
    document.addEventListener('page-key', key as EventListener)
    return () => document.removeEventListener('page-key', key as EventListener)
  })
}

// First is what is seen before there is any run.
function First({ workflows }: { workflows: Workflow[] | undefined }) {
  return (
    <Empty>
      <h2>No runs yet</h2>
      {workflows?.length ? (
        <p>
          Start one: <a href={link('workflow', workflows[0]!.name, 'start')}>{workflows[0]!.name}</a>
          {workflows.length > 1 && <> or <a href={link('workflows')}>another workflow</a></>}, or at a shell:
        </p>
      ) : (
        <p>A workflow is a list of steps. Write one, register it, start a run, and it appears here:</p>
      )}
      {!workflows?.length && <pre>{'# hello.yaml\nsteps:\n  - name: hello\n    service_name: greeter\n    handler_name: hello'}</pre>}
      {!workflows?.length && <Command line={command('register', 'hello', 'hello.yaml')} />}
      <Command line={command('start', workflows?.[0]?.name ?? 'hello')} />
    </Empty>
  )
}


