import { runPath, part } from './api'
import { act, fireTimer, signalRun } from './dialog'
import { Ago, may, now, State, StateIcon } from './bits'
import { clock, count, dateTime, span } from './format'
import { eventIcon, type History, told } from './events'
import { Logs } from './logs'
import { Payload, Tree } from './payload'
import { change, link } from './route'
import { StepLink } from './banner'
import type { Definition, RunEvent, Status, StepSpec } from './types'

// The pane beside every tab: the chosen event, and the chosen step.
export function Pane({ run, def, name, event, history }: { run: Status; def: Definition | undefined; name: string; event: RunEvent | undefined; history: History }) {
  return (
    <aside class="pane" aria-label="Chosen step">
      <div class="pane-close">
        <button type="button" class="small quiet" aria-label="Close the pane" onClick={() => change({ step: '' })}>
          ✕
        </button>
      </div>
      {event?.data && <EventData event={event} />}
      {name && <StepPane run={run} def={def} name={name} history={history} past={!!event} />}
    </aside>
  )
}

function EventData({ event }: { event: RunEvent }) {
  const { stack, ...rest } = event.data ?? {}
  return (
    <section>
      <h3>
        <StateIcon state={eventIcon(event)} /> {event.kind} <span class="dim">event {event.n}</span>
      </h3>
      <Tree value={rest} open={2} />
      {typeof stack === 'string' && <pre>{stack}</pre>}
    </section>
  )
}

function StepPane({ run, def, name, history, past }: { run: Status; def: Definition | undefined; name: string; history: History; past: boolean }) {
  const step = run.steps[name]
  const spec = def?.steps.find((s) => s.name === name)
  if (!step) return <section><h3>{name}</h3><p class="dim">This run has no step of that name.</p></section>
  const id = run.workflow_id
  const limit = past ? run.last_seq : Infinity
  const attempts = attemptsOf(history.events, name, limit)
  const after = def?.steps.filter((s) => s.dependencies?.includes(name)).map((s) => s.name) ?? []
  return (
    <>
      <section>
        <h2 class="step-name">{name}</h2>
        <div class="facts">
          <State state={step.state} />
          <span class="dim">{step.type}</span>
          {step.since && <span class="dim">since <Ago time={step.since} /></span>}
        </div>
        <dl>
          {spec?.service_name && <><dt>Handler</dt><dd><a href={link('workers', '', '', { service: spec.service_name })}>{spec.service_name}</a>/{spec.handler_name}</dd></>}
          {step.attempt > 0 && <><dt>Attempt</dt><dd>{step.attempt}{spec && step.type === 'task' && <span class="dim">, {step.failures ?? 0} of {spec.retry?.max_attempts ?? 3} failed</span>}</dd></>}
          {step.worker && <><dt>Worker</dt><dd>{step.worker}</dd></>}
          {step.due && <><dt>Due</dt><dd>{dateTime(step.due)} <span class="dim"><Ago time={step.due} /></span></dd></>}
          {spec?.signal && <><dt>Signal</dt><dd>{spec.signal.name}{spec.signal.timeout_ms !== undefined && <span class="dim">, at most {span(spec.signal.timeout_ms)}{spec.signal.on_timeout && ', then ' + spec.signal.on_timeout}</span>}</dd></>}
          {spec?.timer && <><dt>Timer</dt><dd>{spec.timer.key} <span class="dim">{spec.timer.cron_expr ? spec.timer.cron_expr + ' ' + (spec.timer.time_zone ?? 'UTC') : span(spec.timer.delay_ms ?? 0)}</span></dd></>}
          {spec?.object_keys?.length ? <><dt>Keys</dt><dd>{spec.object_keys.map((k) => <><a href={link('objects', k)}>{k}</a> </>)}</dd></> : null}
          {spec?.dependencies?.length ? <><dt>After</dt><dd><Names list={spec.dependencies} /></dd></> : null}
          {after.length > 0 && <><dt>Before</dt><dd><Names list={after} /></dd></>}
        </dl>
        {!past && step.state === 'waiting' && may('operate') && <Buttons id={id} spec={spec} />}
        {!past && step.state === 'deferred' && may('operate') && spec && <Deferred id={id} def={def} spec={spec} />}
      </section>
      {step.error && (
        <section class="error">
          <h3><StateIcon state="failed" /> Last error <span class="code">{step.error.code}</span>{step.error.type && <span class="dim"> {step.error.type}</span>}</h3>
          <p class="message">{step.error.message}</p>
          {step.error.stack && <details open><summary>Stack</summary><pre>{step.error.stack}</pre></details>}
        </section>
      )}
      {step.heartbeat !== undefined && step.heartbeat !== null && <section><h3>Heartbeat</h3><Tree value={step.heartbeat} open={2} /></section>}
      {attempts.length > 0 && (
        <section>
          <h3>{count(attempts.length, 'attempt')}</h3>
          <table class="small">
            <tbody>
              {attempts.slice(-20).map((a) => (
                <tr>
                  <td class="num">{a.n}</td>
                  <td><StateIcon state={a.state} /> {a.text}</td>
                  <td class="num">{clock(a.from)}</td>
                  <td class="num right">{span((a.to ? Date.parse(a.to) : past ? Date.parse(a.from) : now.value) - Date.parse(a.from))}</td>
                  <td class="dim">{a.worker}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      )}
      {step.attempt > 0 && step.type === 'task' && <Logs run={id} step={name} about={`${step.state} ${step.attempt}`} running={step.state === 'running'} at={run.as_of?.at} />}
      {step.output !== undefined && step.output !== null && (
        <section><Payload name="Output" value={step.output} raw={past ? '' : `${runPath(id)}/steps/${part(name)}/output`} /></section>
      )}
      {spec?.input_data !== undefined && <section><Payload name="Input of the step" value={spec.input_data} /></section>}
      <Last history={history} name={name} limit={limit} />
    </>
  )
}

function Names({ list }: { list: string[] }) {
  return (
    <>
      {list.slice(0, 20).map((n, i) => <>{i > 0 && ', '}<StepLink name={n} /></>)}
      {list.length > 20 && <span class="dim"> and {list.length - 20} more</span>}
    </>
  )
}

function Buttons({ id, spec }: { id: string; spec: StepSpec | undefined }) {
  const signal = spec?.signal?.name
  const timer = spec?.timer?.key
  return (
    <div class="buttons">
      {signal && <button type="button" class="primary" onClick={() => act(signalRun(id, signal))}>Send signal {signal}</button>}
      {timer && <button type="button" class="primary" onClick={() => act(fireTimer(id, timer))}>Fire timer now</button>}
    </div>
  )
}

function Deferred({ id, def, spec }: { id: string; def: Definition | undefined; spec: StepSpec }) {
  const timer = def?.steps.find((s) => spec.dependencies?.includes(s.name) && s.timer)?.timer
  return timer ? <div class="buttons"><button type="button" class="primary" onClick={() => act(fireTimer(id, timer.key))}>Fire timer now</button></div> : null
}

interface Attempt {
  n: number
  from: string
  to?: string
  worker: string
  state: string
  text: string
}

// attemptsOf reads a step's attempts from the events up to a sequence.
export function attemptsOf(events: RunEvent[], step: string, until: number): Attempt[] {
  const out: Attempt[] = []
  for (const e of events) {
    if (e.seq > until) break
    if (e.step !== step) continue
    const last = out[out.length - 1]
    if (e.kind === 'AttemptStarted') {
      out.push({ n: e.attempt ?? out.length + 1, from: String(e.data?.started_at ?? e.at), worker: String(e.data?.worker ?? ''), state: 'running', text: 'running' })
    } else if (last && !last.to && ends[e.kind]) {
      last.to = e.at
      last.state = ends[e.kind]!
      last.text = e.data?.code ? String(e.data.code) : last.state === 'timed_out' ? 'lost' : last.state
    }
  }
  return out
}

const ends: Record<string, string> = { AttemptFailed: 'failed', AttemptLost: 'timed_out', StepCompleted: 'completed', StepFailed: 'failed', AttemptEnded: 'cancelled' }

function Last({ history, name, limit }: { history: History; name: string; limit: number }) {
  const mine = history.events.filter((e) => e.step === name && e.seq <= limit).slice(-12)
  if (mine.length === 0) return null
  return (
    <section>
      <h3>Its last events</h3>
      <ol class="last">
        {mine.map((e) => (
          <li>
            <span class="num dim">{clock(e.at)}</span>
            <button type="button" class="linkish" onClick={() => change({ at: e.seq })}>{told(e).replace(name + ' ', '')}</button>
          </li>
        ))}
      </ol>
    </section>
  )
}

