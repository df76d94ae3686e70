import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks'
import { get } from './api'
import { useAsked, useHappened, usePolled } from './asked'
import { moving } from './banner'
import { Ago, Command, Empty, may, now, ofFile, Problem, State, Tags } from './bits'
import { Bulk, type Picked } from './bulk'
import { between, command, localTimes } from './format'
import { change, go, link, place } from './route'
import { useRowKeys } from './rowkeys'
import { filters, type List, useRuns } from './runlist'
import type { RunHead, Workflow } from './types'

const rowHeight = 34

// views are the filters that have a name, in the order of the tabs.
export const views: { name: string; query: Record<string, string>; count?: string; bad?: boolean }[] = [
  { name: 'All', query: {} },
  { name: 'In flight', query: { state: 'running' }, count: 'running' },
  { name: 'Finishing', query: { state: 'finishing' }, count: 'finishing' },
  { name: 'Paused', query: { paused: 'true' } },
  { name: 'Failed', query: { state: 'failed' }, count: 'failed', bad: true },
  { name: 'Stuck over 10 min', query: { stuck_for: '10m' }, count: 'stuck', bad: true },
  { name: 'Quarantined', query: { state: 'quarantined' }, count: 'quarantined', bad: true },
  { name: 'Completed', query: { state: 'completed' }, count: 'completed' },
  { name: 'Cancelled', query: { state: 'cancelled' }, count: 'cancelled' },
]

export function Runs() {
  const { query } = place.value
  const key = filters.map((f) => f + '=' + (query.get(f) ?? '')).join('&')
  const list = useRuns(key, query)
  const { row, at: chosen } = useRowKeys(list.runs.map((r) => r.workflow_id), (id) => link('run', id))
  const [picked, setPicked] = useState<Picked>(new Set())
  useEffect(() => setPicked(new Set()), [key])
  const toggle = (id: string) => {
    const next = new Set(picked === 'all' ? list.runs.map((r) => r.workflow_id) : picked)
    if (!next.delete(id)) next.add(id)
    setPicked(next)
  }
  useLayoutEffect(() => {
    const key = (e: CustomEvent<string>) => e.detail === 'x' && chosen >= 0 && may('operate') && toggle(row)
    document.addEventListener('page-key', key as EventListener)
    return () => document.removeEventListener('page-key', key as EventListener)
  })
  const workflows = useAsked('workflows', (s) => get<{ workflows: Workflow[] }>('/v1/workflows', s))
  useHappened('Workflow', workflows)
  const counts = usePolled('counts', countRuns, ofFile ? 3_600_000 : 3_000)
  const filtered = filters.some((f) => query.get(f))
  return (
    <main class={'runs' + (may('operate') ? ' picking' : '')}>
      <div class="bar">
        <h1>Runs</h1>
        <nav class="views" aria-label="Views">
          {views.filter((v) => !ofFile || !v.query.stuck_for).map((v) => (
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
        <input type="search" placeholder="Tag: name=value" aria-label="Tag" value={query.get('tag') ?? ''} onChange={(e) => change({ tag: e.currentTarget.value.trim(), row: '' })} />
        {filtered && <a href={link('runs')}>Clear</a>}
        {query.get('stuck_for') && <label class="check"><input type="checkbox" checked={query.get('include') === 'signals'} onChange={(e) => change({ include: e.currentTarget.checked ? 'signals' : '', row: '' })} /> those that wait for a signal, too</label>}
        <span class="grow" />
        {(list.fresh > 0 || list.gone.size > 0) && (
          <button type="button" class="pill" title="Show the list as it is now" onClick={list.reload}>
            {[list.fresh > 0 && `${list.fresh}${list.fresh < 100 ? '' : '+'} new`, list.gone.size > 0 && `${list.gone.size} gone`].filter(Boolean).join(', ')}
          </button>
        )}
      </div>
      {(picked === 'all' || picked.size > 0) && <Bulk runs={list.runs} picked={picked} all={list.all} query={query} pick={setPicked} />}
      <Problem error={list.error} />
      {list.loaded && list.runs.length === 0 && !list.error ? (
        filtered ? <Empty>No run matches. <a href={link('runs')}>Show all runs</a></Empty> : <First workflows={workflows.value?.workflows} />
      ) : (
        <Table list={list} chosen={chosen} picked={picked} pick={setPicked} toggle={toggle} />
      )}
    </main>
  )
}

async function countRuns(signal: AbortSignal): Promise<Record<string, number>> {
  const c = await get<{ states: Record<string, number>; stuck: number }>('/v1/run-counts?stuck_for=10m', signal)
  return { ...c.states, stuck: c.stuck }
}

function current(query: URLSearchParams, want: Record<string, string>): boolean {
  return ['state', 'paused', 'stuck_for'].every((f) => (query.get(f) ?? '') === (want[f] ?? ''))
}

// keep changes the view and leaves the other filters.
function keep(query: URLSearchParams, want: Record<string, string>): URLSearchParams {
  const out = new URLSearchParams(query)
  for (const f of ['state', 'paused', 'stuck_for', 'include', 'row']) out.delete(f)
  for (const [k, v] of Object.entries(want)) out.set(k, v)
  return out
}

function Table({ list, chosen, picked, pick, toggle }: { list: List; chosen: number; picked: Picked; pick: (p: Picked) => void; toggle: (id: string) => void }) {
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
    list.look(first, last)
    if (last > list.runs.length - 30) list.more()
  })
  useEffect(() => {
    const el = box.current
    if (!el || chosen < 0) return
    if (chosen * rowHeight < el.scrollTop) el.scrollTop = chosen * rowHeight
    if ((chosen + 1) * rowHeight > el.scrollTop + el.clientHeight) el.scrollTop = (chosen + 1) * rowHeight - el.clientHeight
  }, [chosen])
  const some = picked === 'all' || picked.size > 0
  const every = picked === 'all' || (list.runs.length > 0 && list.runs.every((r) => picked.has(r.workflow_id)))
  return (
    <div class="table" role="table" aria-label="Runs" aria-rowcount={list.runs.length}>
      <div class="tr head" role="row">
        {may('operate') && (
          <span role="columnheader">
            <input
              type="checkbox"
              aria-label="Choose all that are shown"
              checked={some && every}
              ref={(el) => void (el && (el.indeterminate = some && !every))}
              onChange={() => pick(new Set(every ? [] : list.runs.map((r) => r.workflow_id)))}
            />
          </span>
        )}
        <span role="columnheader" class="brief">State</span>
        <span role="columnheader">Run</span>
        <span role="columnheader" class="wide">Workflow</span>
        <span role="columnheader">Why</span>
        <span role="columnheader" class="right wide">Steps</span>
        <span role="columnheader" class="right less">Took</span>
        <span role="columnheader" class="right wide">Started</span>
      </div>
      <div class="rows" ref={box} onScroll={measure} onMouseLeave={list.left} role="rowgroup">
        <div class="spacer" style={{ height: list.runs.length * rowHeight + 'px' }}>
          <div style={{ transform: `translateY(${first * rowHeight}px)` }}>
            {shown.map((r, i) => (
              <Row key={r.workflow_id} run={r} on={first + i === chosen} gone={list.gone.has(r.workflow_id)} picked={picked === 'all' || picked.has(r.workflow_id)} toggle={toggle} />
            ))}
          </div>
        </div>
      </div>
    </div>
  )
}

function Row({ run, on, gone, picked, toggle }: { run: RunHead; on: boolean; gone: boolean; picked: boolean; toggle: (id: string) => void }) {
  const counts = run.step_counts
  const total = counts ? Object.values(counts).reduce((a, b) => a + b, 0) : 0
  const settled = counts ? (counts.completed ?? 0) + (counts.skipped ?? 0) : 0
  const href = link('run', run.workflow_id)
  return (
    <div class={'tr' + (on ? ' on' : '') + (gone ? ' gone' : '')} role="row" title={gone ? 'It does not match any more' : undefined} onClick={(e) => (e.target as Element).closest('a, .pick') || go(href)}>
      {may('operate') && (
        <span role="cell" class="pick">
          <input type="checkbox" aria-label={'Choose ' + run.workflow_id} checked={picked} onChange={() => toggle(run.workflow_id)} />
        </span>
      )}
      <span role="cell">
        <State state={run.state} />
      </span>
      <span role="cell" class="id">
        <a href={href}>{run.workflow_id}</a> <Tags tags={run.tags} />
      </span>
      <span role="cell" class="wide">
        <a class="plain" href={link('workflow', run.workflow_name, '', { version: String(run.version) })}>
          {run.workflow_name} <span class="dim">v{run.version}</span>
        </a>
      </span>
      <span role="cell" class="why">
        <Why run={run} />
      </span>
      <span role="cell" class="right num wide">{total ? `${settled}/${total}` : ''}</span>
      <span role="cell" class="right num less">{run.state === 'running' ? between(run.created_at, undefined, now.value) : run.completed_at ? between(run.created_at, run.completed_at, 0) : ''}</span>
      <span role="cell" class="right num wide">
        <Ago time={run.created_at} />
      </span>
    </div>
  )
}

function Why({ run }: { run: RunHead }) {
  if (run.state === 'failed') {
    const text = run.error_message ? `${run.error}: ${run.error_message}` : (run.error ?? '')
    return <span class="t-bad" title={text}>{text}</span>
  }
  if (run.state === 'cancelled') return <span class="dim" title={run.cancel_reason}>{run.cancel_reason || 'cancelled'}</span>
  const reason = run.reason
  if (!reason) return null
  const text = localTimes(reason.detail)
  return (
    <span class={moving(reason) ? 'dim' : 't-wait'} title={text}>
      {reason.step && <b>{reason.step}</b>}{reason.step && ' '}
      {text}
      {reason.count ? ` (and ${reason.count - 1} more)` : ''}
    </span>
  )
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
