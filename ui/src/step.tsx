import { runPath, part } from './api'
import { Attempts, attemptsOf } from './attempts'
import { act, completeStep, failStep, fireTimer, signalRun, skipStep } from './dialog'
import { Ago, may, State, StateIcon } from './bits'
import { clock, dateTime, span } from './format'
import type { History } from './events'
import { ItemPane, Items, itemOf } from './items'
import { Logs } from './logs'
import { Payload, Tree, write } from './payload'
import { change, link } from './route'
import { StepLink } from './banner'
import { eventIcon, seen, told, whySkipped } from './told'
import { type Definition, type RunEvent, type Status, type Step, type StepSpec, stepsOf } from './types'

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
      {name && <StepPane run={run} def={def} name={name} history={history} past={!!run.as_of} />}
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
      <p>{told(event)}</p>
      <Tree value={rest} open={2} />
      {typeof stack === 'string' && <pre>{stack}</pre>}
    </section>
  )
}

// undone says how the compensation of a step stands.
const undone: Record<string, string> = { waiting: 'later', running: 'now', done: 'done', failed: 'it failed' }

function StepPane({ run, def, name, history, past }: { run: Status; def: Definition | undefined; name: string; history: History; past: boolean }) {
  const step = run.steps[name]
  const spec = stepsOf(def).find((s) => s.name === name)
  const item = step ? undefined : itemOf(name, def)
  if (item) return <ItemPane run={run} item={item} name={name} history={history} />
  if (!step) return <section><h3>{name}</h3><p class="dim">This run has no step of that name.</p></section>
  const id = run.workflow_id
  const limit = past ? run.last_seq : Infinity
  const attempts = attemptsOf(history.events, name, limit)
  const then = run.as_of?.at
  const naming = (is: (s: StepSpec) => boolean) => stepsOf(def).filter(is).map((s) => s.name)
  const made = history.events.findLast((e) => e.kind === 'TemplatesEvaluated' && e.step === name && e.seq <= limit)?.data // of its templates
  const keys = (made?.object_keys as string[] | undefined) ?? spec?.object_keys
  const after = naming((s) => !!s.dependencies?.includes(name) || !!s.after?.includes(name))
  const failures = naming((s) => s.on_failure === name)
  const timeouts = naming((s) => s.signal?.on_timeout === name)
  return (
    <>
      <section>
        <h2 class="step-name">{name}</h2>
        <div class="facts">
          <State state={step.state} />
          <span class="dim">{step.type}</span>
          {step.kept && <Kept how={step.kept} />}
          {step.since && <span class="dim" title={dateTime(step.since)}>{then ? 'for ' + span(Date.parse(then) - Date.parse(step.since)) : <>since <Ago time={step.since} /></>}</span>}
        </div>
        {step.skip_reason && <p>It was skipped: {whySkipped(step.skip_reason)}.</p>}
        {step.caught && spec?.on_failure && <p>It failed, and <StepLink name={spec.on_failure} /> took over.</p>}
        <dl>
          {spec?.service_name && <><dt>Handler</dt><dd><a href={link('workers', '', '', { service: spec.service_name })}>{spec.service_name}</a>/{spec.handler_name}</dd></>}
          {spec?.workflow_name && <><dt>Workflow</dt><dd><a href={link('workflow', spec.workflow_name)}>{spec.workflow_name}</a>{spec.workflow_version !== undefined && <span class="dim"> v{spec.workflow_version}</span>}</dd></>}
          {step.child && <><dt>Child</dt><dd><a href={link('run', step.child)}>{step.child}</a></dd></>}
          {step.attempt > 0 && <><dt>Attempt</dt><dd>{step.attempt}{spec && step.type === 'task' && <span class="dim">, {step.failures ?? 0} of {spec.retry?.max_attempts ?? 3} failed</span>}</dd></>}
          {step.worker && <><dt>Worker</dt><dd>{step.worker}</dd></>}
          {step.due && <><dt>Due</dt><dd>{dateTime(step.due)} <span class="dim"><Ago time={step.due} at={then} /></span></dd></>}
          {spec?.signal && <><dt>Signal</dt><dd>{spec.signal.name}{spec.signal.timeout_ms !== undefined && <span class="dim">, at most {span(spec.signal.timeout_ms)}{spec.signal.on_timeout && <>, then <StepLink name={spec.signal.on_timeout} /></>}</span>}</dd></>}
          {spec?.timer && <><dt>Timer</dt><dd>{spec.timer.key} <span class="dim">{spec.timer.cron_expr ? spec.timer.cron_expr + ' ' + (spec.timer.time_zone ?? 'UTC') : span(spec.timer.delay_ms ?? 0)}</span></dd></>}
          {keys?.length ? <><dt>Keys</dt><dd>{keys.map((k) => <><a href={link('objects', k)}>{k}</a> </>)}</dd></> : null}
          {spec?.dependencies?.length ? <><dt>After</dt><dd><Names list={spec.dependencies} /></dd></> : null}
          {spec?.after?.length ? <><dt>Order only</dt><dd><Names list={spec.after} /></dd></> : null}
          {spec?.join && joins[spec.join] && <><dt>Join</dt><dd>{spec.join} <span class="dim">{joins[spec.join]}</span></dd></>}
          {failures.length > 0 && <><dt>Takes over</dt><dd>when <Names list={failures} /> {failures.length > 1 ? 'fail' : 'fails'}</dd></>}
          {timeouts.length > 0 && <><dt>Takes over</dt><dd>when <Names list={timeouts} /> {timeouts.length > 1 ? 'time out' : 'times out'}</dd></>}
          {after.length > 0 && <><dt>Before</dt><dd><Names list={after} /></dd></>}
          {spec?.compensate && <><dt>Compensated by</dt><dd>{spec.compensate.service_name ?? spec.service_name}/{spec.compensate.handler_name}{step.compensation && <span class="dim">, {undone[step.compensation] ?? step.compensation}</span>}</dd></>}
          {spec?.on_failure && <><dt>On failure</dt><dd><StepLink name={spec.on_failure} /></dd></>}
          {spec?.when && <><dt>Condition</dt><dd><When when={spec.when} step={step} /></dd></>}
          {spec?.for_each !== undefined && <><dt>Items</dt><dd><Items spec={spec} step={step} events={history.events} until={limit} /></dd></>}
          {spec?.repeat && <><dt>Repeat</dt><dd><Rounds repeat={spec.repeat} step={step} looked={lastLook(history.events, name, limit)} /></dd></>}
        </dl>
        {!past && step.state === 'waiting' && may('operate') && <Buttons id={id} spec={spec} />}
        {!past && step.state === 'deferred' && may('operate') && spec && <Deferred id={id} def={def} spec={spec} />}
        {!past && may('operate') && <ByHand run={run} name={name} />}
      </section>
      {step.error && (
        <section class="error">
          <h3><StateIcon state="failed" /> Last error <span class="code">{step.error.code}</span>{step.error.type && <span class="dim"> {step.error.type}</span>}</h3>
          <p class="message">{step.error.message}</p>
          {step.error.stack && <details open><summary>Stack</summary><pre>{step.error.stack}</pre></details>}
        </section>
      )}
      {step.heartbeat !== undefined && step.heartbeat !== null && <section><h3>Heartbeat</h3><Tree value={step.heartbeat} open={2} /></section>}
      <Attempts attempts={attempts} rounds={!!spec?.repeat} then={then} />
      {step.attempt > 0 && step.type === 'task' && <Logs run={id} step={name} about={`${step.state} ${step.attempt}`} running={step.state === 'running'} at={run.as_of?.at} />}
      {step.output !== undefined && step.output !== null && (
        <section><Payload name="Output" value={step.output} raw={past ? '' : `${runPath(id)}/steps/${part(name)}/output`} /></section>
      )}
      {made?.input !== undefined ? <section><Payload name="Input, worked out" value={made.input} /></section> : spec?.input !== undefined && <section><Payload name="Input, not worked out yet" value={spec.input} /></section>}
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

const joins: Record<string, string> = {
  any: 'skipped ones do not count when at least one has completed',
  settled: 'whatever became of them',
}

// When is a step's condition, what it came to, and the values that it read.
function When({ when, step }: { when: string; step: Step }) {
  const c = step.condition
  return (
    <>
      <code>{when}</code> <span class="dim">{c ? <>is <b>{String(c.result)}</b></> : 'was not looked at yet'}</span>
      {c && <Saw saw={c.saw} />}
    </>
  )
}

function Saw({ saw }: { saw: unknown }) {
  return (
    <>
      {seen(saw).map(([path, value]) => (
        <div class="saw"><code>{path}</code> <span class="dim">was</span> <code>{write(value)}</code></div>
      ))}
    </>
  )
}

// Rounds says how often a step runs, which round it is in, and what its condition came to the last time.
function Rounds({ repeat, step, looked }: { repeat: NonNullable<StepSpec['repeat']>; step: Step; looked: RunEvent | undefined }) {
  return (
    <>
      until <code>{repeat.until}</code>
      <div>
        round {(step.round ?? 0) + 1} <span class="dim">of at most {repeat.max_rounds}{repeat.interval_ms ? `, ${span(repeat.interval_ms)} between two${(repeat.backoff_coefficient ?? 1) > 1 ? ', growing' : ''}` : ''}</span>
      </div>
      {looked && <><div class="dim">after the last one it was <b>{String(looked.data?.result)}</b></div><Saw saw={looked.data?.saw} /></>}
    </>
  )
}

const lastLook = (events: RunEvent[], step: string, until: number) => events.findLast((e) => e.kind === 'ConditionEvaluated' && e.step === step && e.data?.of === 'until' && e.seq <= until)

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

const openStates = ['blocked', 'scheduled', 'running', 'waiting', 'retrying', 'deferred']

// ByHand ends a step that is open, or mends one that has failed.
function ByHand({ run, name }: { run: Status; name: string }) {
  const step = run.steps[name]!
  const id = run.workflow_id
  const open = (run.state === 'running' || run.state === 'finishing') && openStates.includes(step.state)
  const failed = (run.state === 'running' || run.state === 'failed') && step.state === 'failed' && !step.caught && !step.kept
  if (run.state === 'finishing' && step.compensation === 'running') return <EndByHand id={id} name={name + '/undo'} fail />
  return open || failed ? <EndByHand id={id} name={name} fail={open} /> : null
}

// EndByHand ends a step, an item or a compensation.
export function EndByHand({ id, name, fail }: { id: string; name: string; fail: boolean }) {
  return (
    <div class="buttons">
      <button type="button" onClick={() => act(completeStep(id, name))}>Complete…</button>
      <button type="button" onClick={() => act(skipStep(id, name))}>Skip…</button>
      {fail && <button type="button" onClick={() => act(failStep(id, name))}>Fail…</button>}
    </div>
  )
}

// Kept says that a step of a fork stands as it stood in the run forked from, or as it was given.
export function Kept({ how }: { how: string }) {
  return <span class="dim kept" title={how === 'set' ? 'whoever forked the run gave its output' : 'it was taken over from the run that was forked, and never runs here'}>{how === 'set' ? 'set' : 'kept'}</span>
}

function Deferred({ id, def, spec }: { id: string; def: Definition | undefined; spec: StepSpec }) {
  const timer = stepsOf(def).find((s) => spec.dependencies?.includes(s.name) && s.timer)?.timer
  return timer ? <div class="buttons"><button type="button" class="primary" onClick={() => act(fireTimer(id, timer.key))}>Fire timer now</button></div> : null
}

export function Last({ history, name, limit }: { history: History; name: string; limit: number }) {
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

