import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import { ask, get, part, runPath } from './api'
import { Banner, StepLink } from './banner'
import { act, cancelRun, deleteRun, forkRun, pauseRun, resumeRun, retryRun, tagRun } from './dialog'
import { useAgain, useAsked } from './asked'
import { Ago, Copy, done, may, now, ofFile, Problem, State, StateIcon, stateName, stepStates, Tags, useInView } from './bits'
import { between, count, dateTime } from './format'
import { Events, useHistory } from './events'
import { Graph } from './graph'
import { foldOver, type Layout } from './layout'
import { Timeline } from './timeline'
import { listen } from './live'
import { Payload } from './payload'
import { change, go, link, place } from './route'
import { Pane } from './step'
import { troubles, useDrawn, useStepKeys } from './stepkeys'
import { Travel, where } from './travel'
import { type Definition, type Status, type Workflow, stepsOf } from './types'

const tabs = [
  ['graph', 'Graph'],
  ['timeline', 'Timeline'],
  ['events', 'Events'],
  ['data', 'Input / Output'],
  ['definition', 'Definition'],
] as const

// useStatus holds a run as it is now, and asks again when something happened to it. A large answer is asked for less often.
function useStatus(id: string) {
  const [got, setGot] = useState<{ id: string; value?: Status; error?: unknown }>({ id: '' })
  const [turn, setTurn] = useState(0)
  useEffect(() => {
    let over = false
    let busy = false
    let again = false
    const read = async () => {
      if (busy) {
        again = true
        return
      }
      busy = true
      const began = performance.now()
      try {
        const { value } = await ask<Status>(runPath(id))
        if (!over) setGot({ id, value })
      } catch (error) {
        if (!over) setGot((old) => (old.id === id && old.value ? { ...old, error } : { id, error }))
      }
      const rest = Math.min(5_000, 2 * (performance.now() - began))
      setTimeout(() => {
        busy = false
        if (again && !over) {
          again = false
          void read()
        }
      }, rest)
    }
    void read()
    const stop = listen((events, gap) => {
      if (gap || events.some((e) => e.workflow_id === id || !e.workflow_id)) void read()
    })
    const poll = setInterval(read, 5_000) // what the journal does not say: workers that come and go, keys of other runs
    return () => {
      over = true
      stop()
      clearInterval(poll)
    }
  }, [id, turn])
  const error = got.id === id ? got.error : undefined
  useAgain(error, () => setTurn((n) => n + 1))
  return { value: got.id === id ? got.value : undefined, error }
}

export function Run() {
  const { id, query } = place.value
  const tab = place.value.tab || 'graph'
  const at = Number(query.get('at')) || undefined
  const live = useStatus(id)
  const history = useHistory(id)
  const past = useAsked(at ? `${id} ${at}` : '', (s) => get<Status>(`${runPath(id)}?at=${at}`, s))
  const kept = useRef<Status | undefined>(undefined)
  if (past.value) kept.current = past.value
  if (!at || kept.current?.workflow_id !== id) kept.current = past.value
  const run = at ? (past.value ?? (past.error ? undefined : kept.current)) : live.value // while the next event is asked for, the one before stays
  const head = live.value ?? run
  const version = head && `${head.workflow_name} ${head.version}`
  const workflow = useAsked(version ?? '', (s) => get<Workflow>(`/v1/workflows/${part(head!.workflow_name)}?version=${head!.version}`, s))
  const def = workflow.value?.definition
  const chosen = query.get('step') ?? ''
  useOpening(live.value, chosen)
  useStepKeys(run, def)
  if (!head) {
    return (
      <main class="run">
        <div class="bar"><h1><a href={link('runs')}>Runs</a> / <span class="id">{id}</span></h1></div>
        <Problem error={live.error} />
      </main>
    )
  }
  const event = at ? history.events[where(history, at)] : undefined
  return (
    <main class="run">
      <Header id={id} run={run} live={live.value} past={!!at} />
      {live.error ? <Problem error={live.error} /> : null}
      {at && past.error ? <Problem error={past.error} /> : null}
      {run && <Banner run={run} def={def} past={!!at || ofFile} />}
      <nav class="tabs" aria-label="Views of the run">
        {tabs.map(([key, name]) => (
          <a href={link('run', id, key, query)} class={tab === key ? 'on' : ''} aria-current={tab === key ? 'page' : undefined}>{name}</a>
        ))}
        <span class="grow" />
        {run && <Counts counts={run.step_counts} />}
      </nav>
      <div class="body">
        <div class="tab">
          {!def && <Problem error={workflow.error} />}
          {run && <Tab tab={tab} run={run} def={def} history={history} at={at} chosen={chosen} />}
        </div>
        {run && (chosen || event?.data) && (chosen !== '-' || event?.data) && <Pane run={run} def={def} name={chosen === '-' ? '' : chosen} event={event} history={history} />}
      </div>
      <Travel history={history} at={at} live={live.value?.events ?? 0} />
    </main>
  )
}

function Tab({ tab, run, def, history, at, chosen }: { tab: string; run: Status; def: Definition | undefined; history: ReturnType<typeof useHistory>; at: number | undefined; chosen: string }) {
  switch (tab) {
    case 'events':
      return <Events history={history} at={at} selected={chosen} />
    case 'timeline':
      return <Timeline run={run} history={history} at={at} chosen={chosen} />
    case 'data':
      return (
        <div class="data">
          <Payload name="Input" value={run.input} />
          {run.state === 'completed' ? <Payload name="Output" value={run.output} /> : <p class="dim">The output is there when the run has completed.</p>}
        </div>
      )
    case 'definition':
      return def ? <div class="data"><Payload name={`${run.workflow_name} version ${run.version}`} value={def} /></div> : null
  }
  return def ? <GraphTab run={run} def={def} chosen={chosen} /> : null
}

function GraphTab({ run, def, chosen }: { run: Status; def: Definition; chosen: string }) {
  const graph = useAsked(`${run.workflow_name} ${run.version}`, (s) => get<Layout>(graphPath(run.workflow_name, run.version), s))
  const layout = graph.value
  const { query } = place.value
  const search = query.get('find') ?? ''
  const hideDone = query.get('hide') === 'completed'
  return (
    <div class="graph-tab">
      <div class="bar filters">
        <input id="search" type="search" placeholder="Find a step  ( / )" aria-label="Find a step" value={search} onInput={(e) => change({ find: e.currentTarget.value }, true)} />
        <label class="check"><input type="checkbox" checked={hideDone} onChange={(e) => change({ hide: e.currentTarget.checked ? 'completed' : '' }, true)} /> Hide completed</label>
      </div>
      <div class="graph-body">
        {layout ? <Graph layout={layout} steps={run.steps} selected={chosen} search={search} hideDone={hideDone} /> : <div class="graph"><Problem error={graph.error} /></div>}
        <StepList run={run} def={def} search={search} chosen={chosen} hideDone={hideDone} />
      </div>
    </div>
  )
}

export const graphPath = (name: string, version: number) => `/v1/workflows/${part(name)}/graph?version=${version}&fold=${foldOver}`

const rowHeight = 26

// StepList says what the graph shows, in words: for screen readers, and for those who look for a name.
function StepList({ run, def, search, chosen, hideDone }: { run: Status; def: Definition; search: string; chosen: string; hideDone: boolean }) {
  const box = useRef<HTMLDivElement>(null)
  const [top, setTop] = useState(0)
  const list = useMemo(() => {
    const low = search.toLowerCase()
    return stepsOf(def).filter((s) => s.name.toLowerCase().includes(low) && !(hideDone && done(run.steps[s.name]?.state)))
  }, [def, search, hideDone, run])
  useDrawn(useMemo(() => list.map((s) => s.name), [list]))
  useInView(box, list.findIndex((s) => s.name === chosen), rowHeight)
  const height = box.current?.clientHeight ?? 600
  const first = Math.max(0, Math.floor(top / rowHeight) - 5)
  const shown = list.slice(first, first + Math.ceil(height / rowHeight) + 10)
  return (
    <div class="step-list" ref={box} onScroll={(e) => setTop(e.currentTarget.scrollTop)} role="list" aria-label="Steps" tabIndex={0}>
      <div class="spacer" style={{ height: list.length * rowHeight + 'px' }} role="presentation">
        <div style={{ transform: `translateY(${first * rowHeight}px)` }} role="presentation">
          {shown.map((s) => {
            const st = run.steps[s.name]
            return (
              <div role="listitem" key={s.name}>
                <button type="button" class={'row' + (s.name === chosen ? ' on' : '')} onClick={() => change({ step: s.name })}>
                  <StateIcon state={st?.state ?? ''} />
                  <span class="name">{s.name}</span>
                  <span class="dim">{st ? stateName(st.state) : ''}</span>
                </button>
              </div>
            )
          })}
        </div>
      </div>
    </div>
  )
}

function Counts({ counts }: { counts: Record<string, number> }) {
  return (
    <span class="counts">
      {stepStates.filter((s) => counts[s]).map((s) => (
        <span title={stateName(s)}><StateIcon state={s} /> {counts[s]!.toLocaleString('en')} <span class="dim">{stateName(s)}</span></span>
      ))}
    </span>
  )
}

// Header is that of the run as it is shown: in the past as it was then, beside what it is now, and with no button that changes it.
function Header({ id, run, live, past }: { id: string; run: Status | undefined; live: Status | undefined; past: boolean }) {
  const open = ['running', 'finishing', 'quarantined'].includes(run?.state ?? '')
  const until = run?.as_of ? Date.parse(run.as_of.at) : now.value
  return (
    <div class={'bar run-head' + (past ? ' past' : '')}>
      <h1><a href={link('runs')}>Runs</a> <span class="dim">/</span> <span class="id">{id}</span></h1>
      <Copy text={id} />
      {run && (
        <>
          <State state={run.state} />
          {run.handled_failures ? <button type="button" class="linkish" onClick={() => change({ step: Object.keys(run.steps).find((name) => run.steps[name]!.caught) })}>{count(run.handled_failures, 'failure')} handled</button> : null}
          <a class="plain" href={link('workflow', run.workflow_name, '', { version: String(run.version) })}>{run.workflow_name} <span class="dim">v{run.version}</span></a>
          <span class="dim" title={dateTime(run.created_at)}>started {past ? dateTime(run.created_at) : <Ago time={run.created_at} />}, {open ? 'for' : 'took'} {between(run.created_at, run.completed_at, until)}</span>
          {run.forked_from && <span class="dim">a fork of <a href={link('run', run.forked_from.workflow_id)}>{run.forked_from.workflow_id}</a> from {run.forked_from.step}</span>}
          {run.parent && <span class="dim">child of <a href={link('run', run.parent.workflow_id, '', { step: run.parent.step })}>{run.parent.workflow_id}</a></span>}
          {run.state === 'finishing' && <span class="dim">its fate: {run.fate}</span>}
          {run.compensation && <Compensation of={run.compensation} />}
          <Tags tags={run.tags} />
          {open && run.deadline && <span class="dim" title={dateTime(run.deadline)}>its time is over <Ago time={run.deadline} at={run.as_of?.at} /></span>}
        </>
      )}
      <span class="grow" />
      {past && live && <span class="now"><span class="dim">now</span> <State state={live.state} /></span>}
      <a class="button" href={link('diff', '', '', { a: id })}>Compare…</a>
      {!past && run && may('operate') && (
        <>
          {(run.state === 'running' || run.state === 'finishing') && <button type="button" onClick={() => act(run.paused ? resumeRun(id) : pauseRun(id))}>{run.paused ? 'Resume…' : 'Pause…'}</button>}
          {run.state !== 'quarantined' && <button type="button" onClick={() => act(tagRun(id, run.tags ?? {}))}>Tags…</button>}
          {open && <button type="button" onClick={() => act(cancelRun(id, run.state === 'finishing'))}>{run.state === 'finishing' ? 'End now…' : 'Cancel…'}</button>}
          {(run.state === 'failed' || run.state === 'cancelled') && !run.compensation?.done && !run.compensation?.failed.length && !(run.parent && !run.parent.abandon) && <button type="button" onClick={() => act(retryRun(id))}>Retry…</button>}
          {['completed', 'failed', 'cancelled'].includes(run.state) && <button type="button" onClick={() => void fork(run)}>Fork…</button>}
        </>
      )}
      {!past && run && !open && may('admin') && <button type="button" onClick={() => act(deleteRun(id, () => go(link('runs'))))}>Delete…</button>}
    </div>
  )
}

// fork offers to fork a run, from any step but those of finally, in any version that there is.
async function fork(run: Status) {
  const path = (version: string) => '/v1/workflows/' + encodeURIComponent(run.workflow_name) + version
  const [all, own] = await Promise.all([get<Workflow>(path('')).catch(() => undefined), get<Workflow>(path('?version=' + run.version)).catch(() => undefined)])
  const last = new Set((own?.definition?.finally ?? []).map((s) => s.name))
  const steps = Object.keys(run.steps).filter((name) => !last.has(name))
  const failed = run.error?.step && !last.has(run.error.step) ? run.error.step : ''
  act(forkRun(run.workflow_id, steps, failed || steps[0]!, all?.version_numbers ?? [run.version], run.version, (to) => go(link('run', to))))
}

// Compensation says how much of what the run did was taken back.
function Compensation({ of }: { of: NonNullable<Status['compensation']> }) {
  return (
    <span class="dim">
      compensated {of.done} of {of.total}
      {of.now && <>, now <StepLink name={of.now.step} /></>}
      {of.failed.length > 0 && <>, not {of.failed.map((f) => <><StepLink name={f.step} /> </>)}</>}
    </span>
  )
}

// useOpening opens a run on the step that failed or holds it up.
function useOpening(run: Status | undefined, chosen: string) {
  const opened = useRef('')
  useEffect(() => {
    if (!run || opened.current === run.workflow_id) return
    opened.current = run.workflow_id
    if (!chosen && place.value.id === run.workflow_id) change({ step: troubles(run)[0] }, true)
  })
}
