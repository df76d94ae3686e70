import { Failure, get, part, runPath } from './api'
import { useAsked } from './asked'
import { Ago, Empty, Problem, State } from './bits'
import { bytes, span } from './format'
import { lines, pretty } from './lines'
import { change, link, place } from './route'
import type { Status } from './types'
import { LineDiff } from './workflows'

interface Side {
  state: string
  attempts: number
  duration_ms: number
  output_bytes?: number
  code?: string
  message?: string
}

interface OneRun {
  workflow_id: string
  workflow_name: string
  version: number
  state: string
  created_at: string
  duration_ms: number
  events: number
  attempts: number
  error?: { step: string; code: string; message: string }
}

interface Moment {
  seq: number
  n: number
  kind: string
  attempt?: number
  code?: string
  message?: string
}

interface Difference {
  a: OneRun
  b: OneRun
  differs: string[]
  divergence?: { step?: string; signal?: string; a?: Moment; b?: Moment }
  steps: { step: string; differs: string[]; a?: Side; b?: Side }[]
  definition: { same: boolean; only_a: string[]; only_b: string[]; changed: string[] }
}

// Diff shows what is different between two runs: first where they parted, then how they ended, then step by step.
export function Diff() {
  const { query } = place.value
  const a = query.get('a') ?? ''
  const b = query.get('b') ?? ''
  const all = query.get('steps') === 'all'
  const outputs = query.get('output') ?? '' // of this step are set side by side
  const asked = useAsked(a && b ? `${a}\n${b}\n${all}` : '', (s) => get<Difference>(`/v1/diff?a=${part(a)}&b=${part(b)}${all ? '&steps=all' : ''}`, s))
  const inputs = useAsked(asked.value?.differs.includes('input') ? `${a}\n${b}` : '', (s) => Promise.all([a, b].map((id) => get<Status>(runPath(id) + '?steps=none', s))))
  const d = asked.value
  return (
    <main class="scroll">
      <div class="bar">
        <h1>Compare two runs</h1>
        <input id="search" aria-label="One run" placeholder="One run" value={a} onChange={(e) => change({ a: e.currentTarget.value.trim() })} />
        <button type="button" class="small" aria-label="Swap" title="Swap" onClick={() => change({ a: b, b: a })}>⇄</button>
        <input aria-label="The other run" placeholder="The other run" value={b} onChange={(e) => change({ b: e.currentTarget.value.trim() })} />
        <label class="check"><input type="checkbox" checked={all} onChange={(e) => change({ steps: e.currentTarget.checked ? 'all' : '' })} /> steps that are the same, too</label>
      </div>
      <Problem error={asked.error} />
      {!a || !b ? <Empty>Give the ids of two runs: one that went well and one that did not, say.</Empty> : null}
      {d && (
        <>
          <section class="group">
            {d.divergence ? (
              <div class="banner wait where">
                <h2>They part at {d.divergence.step ? <>step {d.divergence.step}</> : d.divergence.signal ? <>signal {d.divergence.signal}</> : 'their start: they were not asked for the same'}</h2>
                <ul>
                  {(['a', 'b'] as const).map((side) => {
                    const e = d.divergence![side]
                    return <li key={side}><span class="label">{d[side].workflow_id}</span><span class="text">{e ? <><a href={link('run', d[side].workflow_id, 'events', { at: String(e.seq) })}>event {e.n}: {e.kind}</a> {e.attempt ? `attempt ${e.attempt} ` : ''}{e.code ? `${e.code}: ${e.message ?? ''}` : ''}</> : <span class="dim">nothing more</span>}</span></li>
                  })}
                </ul>
              </div>
            ) : (
              <p>The same happened in both.</p>
            )}
          </section>
          <section class="group">
            <table class="grid">
              <thead><tr><th></th><th>{d.a.workflow_id}</th><th>{d.b.workflow_id}</th></tr></thead>
              <tbody>
                <Pair name="Run" differs={false} cells={[d.a, d.b].map((r) => <a href={link('run', r.workflow_id)}>{r.workflow_id}</a>)} />
                <Pair name="Workflow" differs={d.differs.includes('workflow') || d.differs.includes('definition')} cells={[d.a, d.b].map((r) => `${r.workflow_name} v${r.version}`)} />
                <Pair name="State" differs={d.differs.includes('state')} cells={[d.a, d.b].map((r) => <State state={r.state} />)} />
                {(d.a.error || d.b.error) && <Pair name="Error" differs={d.differs.includes('error')} cells={[d.a, d.b].map((r) => (r.error ? [r.error.step, r.error.code, r.error.message].filter(Boolean).join(': ') : ''))} />}
                <Pair name="Started" differs={false} cells={[d.a, d.b].map((r) => <Ago time={r.created_at} />)} />
                <Pair name="Took" differs={false} cells={[d.a, d.b].map((r) => span(r.duration_ms))} />
                <Pair name="Attempts, events" differs={false} cells={[d.a, d.b].map((r) => `${r.attempts}, ${r.events}`)} />
              </tbody>
            </table>
          </section>
          <section class="group">
            <h2>Steps</h2>
            {d.steps.length === 0 ? <p class="dim">No step differs.</p> : (
              <table class="grid">
                <thead><tr><th>Step</th><th>What differs</th><th>{d.a.workflow_id}</th><th>{d.b.workflow_id}</th></tr></thead>
                <tbody>
                  {d.steps.slice(0, 500).flatMap((s) => [
                    <tr key={s.step}>
                      <td>{s.step}</td>
                      <td>
                        <span class={s.differs.length ? 't-wait' : 'dim'}>{s.differs.join(', ') || 'nothing'}</span>{' '}
                        {s.differs.includes('output') && <button type="button" class="small" aria-expanded={outputs === s.step} onClick={() => change({ output: outputs === s.step ? '' : s.step }, true)}>{outputs === s.step ? 'Hide' : 'Compare outputs'}</button>}
                      </td>
                      <td><StepSide id={d.a.workflow_id} step={s.step} side={s.a} /></td>
                      <td><StepSide id={d.b.workflow_id} step={s.step} side={s.b} /></td>
                    </tr>,
                    outputs === s.step && s.differs.includes('output') && <tr key={s.step + ' output'}><td colSpan={4}><Outputs a={s.a && a} b={s.b && b} step={s.step} /></td></tr>,
                  ])}
                </tbody>
              </table>
            )}
            {d.steps.length > 500 && <p class="dim">and {(d.steps.length - 500).toLocaleString('en')} more</p>}
          </section>
          {!d.definition.same && (
            <section class="group">
              <h2>Definition</h2>
              <dl>
                {d.definition.only_a.length > 0 && <><dt>Only first</dt><dd>{d.definition.only_a.slice(0, 50).join(', ')}</dd></>}
                {d.definition.only_b.length > 0 && <><dt>Only second</dt><dd>{d.definition.only_b.slice(0, 50).join(', ')}</dd></>}
                {d.definition.changed.length > 0 && <><dt>Changed</dt><dd>{d.definition.changed.slice(0, 50).join(', ')}</dd></>}
              </dl>
              {d.a.workflow_name === d.b.workflow_name && <a href={link('workflow', d.a.workflow_name, 'compare', { version: String(d.b.version), with: String(d.a.version) })}>line by line</a>}
            </section>
          )}
          {inputs.value && <section class="group"><h2>Input</h2><LineDiff diff={lines(pretty(inputs.value[0]!.input), pretty(inputs.value[1]!.input))} /></section>}
        </>
      )}
    </main>
  )
}

const mostCompared = 512 * 1024 // bytes of one output

// Outputs are those of one step in both runs, line by line.
function Outputs({ a, b, step }: { a: string | undefined; b: string | undefined; step: string }) {
  const asked = useAsked(`${a}\n${b}\n${step}`, (s) => Promise.all([a, b].map((id) => outputOf(id, step, s))))
  if (!asked.value) return <Problem error={asked.error} />
  const [x, y] = asked.value
  if (x === undefined || y === undefined || x.length + y.length > 2 * mostCompared) {
    return <p class="dim">{x === undefined || y === undefined ? 'Only one of them has an output; the runs show it.' : 'They are too large to be compared here; the runs show them.'}</p>
  }
  return <LineDiff diff={lines(x, y)} />
}

async function outputOf(id: string | undefined, step: string, signal: AbortSignal): Promise<string | undefined> {
  if (!id) return undefined
  try {
    return pretty(await get<unknown>(`${runPath(id)}/steps/${part(step)}/output`, signal))
  } catch (e) {
    if (e instanceof Failure && (e.status === 404 || e.status === 409)) return undefined
    throw e
  }
}

function Pair({ name, differs, cells }: { name: string; differs: boolean; cells: preact.ComponentChild[] }) {
  return (
    <tr class={differs ? 'differs' : ''}>
      <td class={differs ? 't-wait' : 'dim'}>{differs ? '≠ ' : ''}{name}</td>
      {cells.map((c) => <td>{c}</td>)}
    </tr>
  )
}

function StepSide({ id, step, side: s }: { id: string; step: string; side: Side | undefined }) {
  if (!s) return <span class="dim">no such step</span>
  return (
    <>
      <a class="plain" href={link('run', id, '', { step })}><State state={s.state} /></a>{' '}
      <span class="dim">{s.attempts > 1 && `${s.attempts} attempts, `}{s.duration_ms > 0 && span(s.duration_ms)}{s.output_bytes ? `, ${bytes(s.output_bytes)} of output` : ''}</span>
      {s.code && <div>{s.code}: {s.message}</div>}
    </>
  )
}
