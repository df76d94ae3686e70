import { useEffect, useMemo } from 'preact/hooks'
import { ask, get, part } from './api'
import { passing, useAsked, useHappened, usePolled } from './asked'
import { Ago, Command, Empty, may, Problem } from './bits'
import { type Action, act, unique } from './dialog'
import { command } from './format'
import { Graph } from './graph'
import type { Layout } from './layout'
import { lines, pretty } from './lines'
import { Payload } from './payload'
import { change, go, link, place } from './route'
import { graphPath } from './run'
import type { RunHead, Workflow } from './types'

export function Workflows() {
  const asked = useAsked('workflows', (s) => get<{ workflows: Workflow[] }>('/v1/workflows', s))
  useHappened('Workflow', asked)
  const only = place.value.query.get('name') ?? ''
  const list = (asked.value?.workflows ?? []).filter((w) => w.name.toLowerCase().includes(only.toLowerCase()))
  return (
    <main class="scroll">
      <div class="bar">
        <h1>Workflows</h1>
        <input id="search" type="search" placeholder="Name  ( / )" aria-label="Name" value={only} onInput={(e) => change({ name: e.currentTarget.value }, true)} />
      </div>
      <Problem error={asked.error} />
      {asked.value && list.length === 0 ? (
        <Empty>
          <h2>{only ? 'No workflow has that in its name' : 'No workflows yet'}</h2>
          <Command line={command('register', 'NAME', 'FILE.yaml')} />
        </Empty>
      ) : (
        <section class="group">
          <table class="grid">
            <thead><tr><th>Workflow</th><th class="right">Current version</th><th class="right">Versions</th><th class="right">Registered</th><th>Runs</th></tr></thead>
            <tbody>
              {list.map((w) => (
                <tr key={w.name}>
                  <td><a href={link('workflow', w.name)}>{w.name}</a></td>
                  <td class="right num">{w.current}</td>
                  <td class="right num">{w.versions}</td>
                  <td class="right num"><Ago time={w.created_at} /></td>
                  <td>
                    <a href={link('runs', '', '', { workflow: w.name, state: 'running' })}>in flight</a> · <a href={link('runs', '', '', { workflow: w.name, state: 'failed' })}>failed</a> · <a href={link('runs', '', '', { workflow: w.name })}>all</a>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      )}
    </main>
  )
}

export const startRun = (name: string): Action => ({
  title: 'Start ' + name,
  what: 'A new run of the current version begins. The same id with the same input is the same run, however often it is sent.',
  button: 'Start run',
  fields: [
    { name: 'id', label: 'Id', hint: 'names the run; it must be new', value: name.slice(0, 60) + '-' + unique() },
    { name: 'input', label: 'Input', hint: 'JSON; empty: null', json: true },
  ],
  line: (f) => command('start', name, ...(f.input?.trim() ? ['--input', f.input.trim()] : []), ...(f.id ? ['--id', f.id] : [])),
  send: async (f) => {
    const id = f.id?.trim()
    const { value } = await ask<{ workflow_id: string }>(`/v1/workflows/${part(name)}/runs?steps=none`, {
      method: 'POST',
      text: `{"input_data":${f.input?.trim() || 'null'}${id ? ',"workflow_id":' + JSON.stringify(id) : ''}}`,
    })
    go(link('run', value.workflow_id))
  },
})

const useVersion = (name: string, version: number, then: () => void): Action => ({
  title: `Make version ${version} current`,
  what: `New runs of ${name} get version ${version}. Runs that have begun keep theirs.`,
  button: 'Make current',
  line: () => command('workflows', 'use', name, String(version)),
  send: async () => {
    await ask(`/v1/workflows/${part(name)}/current`, { method: 'PUT', body: { version } })
    then()
  },
})

const tabs = [
  ['', 'Graph'],
  ['definition', 'Definition'],
  ['compare', 'Compare versions'],
] as const

export function OneWorkflow() {
  const { id: name, query } = place.value
  const tab = place.value.tab === 'start' ? '' : place.value.tab
  const wanted = query.get('version') ?? ''
  const asked = useAsked(`${name} ${wanted}`, (s) => get<Workflow>(`/v1/workflows/${part(name)}${wanted && '?version=' + wanted}`, s))
  useHappened('Workflow', asked)
  const open = usePolled(name, (s) => get<{ runs: RunHead[]; next_cursor?: string }>(`/v1/runs?workflow=${part(name)}&state=running&limit=1000`, s), 10_000)
  const w = asked.value
  useEffect(() => {
    if (place.value.tab === 'start' && w && may('operate')) act(startRun(name))
  }, [w?.name])
  if (!w || (asked.error && !passing(asked.error))) {
    return (
      <main>
        <div class="bar"><h1><a href={link('workflows')}>Workflows</a> / {name}</h1></div>
        <Problem error={asked.error} />
        {asked.error && wanted ? <p class="bar"><a href={link('workflow', name)}>Show the current version</a></p> : null}
      </main>
    )
  }
  const numbers = numbersOf(w)
  const counts = new Map<number, number>()
  for (const r of open.value?.runs ?? []) counts.set(r.version, (counts.get(r.version) ?? 0) + 1)
  const more = open.value?.next_cursor ? '+' : ''
  return (
    <main>
      <div class="bar">
        <h1><a href={link('workflows')}>Workflows</a> <span class="dim">/</span> {w.name}</h1>
        <label>
          <select aria-label="Version" value={String(w.version)} onChange={(e) => change({ version: e.currentTarget.value })}>
            {numbers.map((v) => (
              <option value={String(v)}>{`version ${v}${v === w.current ? ' (current)' : ''}${counts.get(v) ? `, ${counts.get(v)}${more} in flight` : ''}`}</option>
            ))}
          </select>
        </label>
        <span class="dim">registered <Ago time={w.created_at} /></span>
        <code class="dim" title={'digest ' + w.digest}>{w.digest.slice(0, 12)}</code>
        <a href={link('runs', '', '', { workflow: w.name })}>runs</a>
        <span class="grow" />
        {w.version !== w.current && may('admin') && <button type="button" onClick={() => act(useVersion(w.name, w.version, asked.again))}>Make current…</button>}
        {may('operate') && <button type="button" class="primary" onClick={() => act(startRun(w.name))}>Start a run…</button>}
      </div>
      <nav class="tabs" aria-label="Views of the workflow">
        {tabs.map(([key, label]) => (key !== 'compare' || numbers.length > 1) && <a href={link('workflow', name, key, query)} class={tab === key ? 'on' : ''}>{label}</a>)}
        <span class="grow" />
        <span class="dim counts">{w.definition?.steps.length.toLocaleString('en')} steps</span>
      </nav>
      <div class="body"><div class="tab">
        {tab === 'definition' ? <div class="data"><Payload name={`${w.name} version ${w.version}`} value={w.definition} /></div> : tab === 'compare' ? <Compare workflow={w} /> : <Bare name={w.name} version={w.version} />}
      </div></div>
    </main>
  )
}

// numbersOf are the versions that there are, the newest first: some may have been deleted.
const numbersOf = (w: Workflow) => [...(w.version_numbers ?? [w.version])].reverse()

// Bare is a workflow's graph before any run.
function Bare({ name, version }: { name: string; version: number }) {
  const graph = useAsked(`${name} ${version}`, (s) => get<Layout>(graphPath(name, version), s))
  return graph.value ? <Graph layout={graph.value} steps={undefined} selected={place.value.query.get('step') ?? ''} search="" hideDone={false} /> : <Problem error={graph.error} />
}

function Compare({ workflow: w }: { workflow: Workflow }) {
  const others = numbersOf(w).filter((v) => v !== w.version)
  const wanted = Number(place.value.query.get('with'))
  const against = others.includes(wanted) ? wanted : (others.find((v) => v < w.version) ?? others[others.length - 1])
  const other = useAsked(against ? `${w.name} ${against}` : '', (s) => get<Workflow>(`/v1/workflows/${part(w.name)}?version=${against}`, s))
  const diff = useMemo(() => other.value && lines(pretty(other.value.definition), pretty(w.definition)), [other.value, w])
  if (!against) return <p class="bar dim">There is no other version.</p>
  return (
    <div class="data">
      <div>
        From{' '}
        <select aria-label="The other version" value={String(against)} onChange={(e) => change({ with: e.currentTarget.value })}>
          {others.map((v) => <option value={String(v)}>version {v}</option>)}
        </select>{' '}
        to version {w.version}
      </div>
      <Problem error={other.error} />
      {diff && <LineDiff diff={diff} />}
    </div>
  )
}

export function LineDiff({ diff }: { diff: [mark: ' ' | '+' | '-', text: string][] }) {
  if (diff.every(([m]) => m === ' ')) return <p class="dim">They are the same.</p>
  const near = diff.map((_, i) => diff.slice(Math.max(0, i - 3), i + 4).some(([m]) => m !== ' '))
  return (
    <pre class="diff">
      {diff.slice(0, 20_000).map(([mark, text], i) =>
        near[i] ? <div class={mark === '+' ? 'plus' : mark === '-' ? 'minus' : ''}>{mark} {text}</div> : near[i - 1] ? <div class="dim">  …</div> : null,
      )}
    </pre>
  )
}
