import { Attempts, attemptsOf } from './attempts'
import { StepLink } from './banner'
import { may, State } from './bits'
import type { History } from './events'
import { count } from './format'
import { Logs } from './logs'
import { Payload, write } from './payload'
import { EndByHand, Kept, Last } from './step'
import { type Definition, type RunEvent, type Status, type Step, type StepSpec, stepsOf } from './types'

// An item of a step with for_each is called STEP[INDEX]. A status counts the items; what became of each stands in the run's events.

interface Item {
  spec: StepSpec
  index: number
}

export function itemOf(name: string, def: Definition | undefined): Item | undefined {
  const m = /^(.*)\[(\d+)\]$/.exec(name)
  const spec = m && stepsOf(def).find((s) => s.name === m[1] && s.for_each !== undefined)
  return spec ? { spec, index: Number(m[2]) } : undefined
}

// states: what an event makes of the item that it is about.
const states: Record<string, string> = {
  StepScheduled: 'scheduled',
  StepBlocked: 'blocked',
  KeysGranted: 'scheduled',
  AttemptStarted: 'running',
  AttemptFailed: 'retrying',
  AttemptLost: 'retrying',
  RetrySet: 'retrying',
  RoundCompleted: 'waiting',
  StepCompleted: 'completed',
  StepFailed: 'failed',
  StepSkipped: 'skipped',
}

const ended = new Set(['completed', 'failed', 'skipped'])

// statesOf gives the state of each item that has begun, by its name. What is open when its step or its run ends is cancelled.
export function statesOf(events: RunEvent[], step: string, until: number): Map<string, string> {
  const out = new Map<string, string>()
  const begin = step + '['
  for (const e of events) {
    if (e.seq > until) break
    if (e.step?.startsWith(begin)) {
      const state = states[e.kind]
      if (state) out.set(e.step, state)
    } else if ((e.step === step && (e.kind === 'StepFailed' || e.kind === 'StepCompleted')) || e.kind === 'RunFailed' || e.kind === 'RunCancelled') {
      for (const [name, state] of out) if (!ended.has(state)) out.set(name, 'cancelled')
    }
  }
  return out
}

const few = 20 // items of a state that are named

// Items says how the items of a step stand, and names those that somebody may look for.
export function Items({ spec, step, events, until }: { spec: StepSpec; step: Step; events: RunEvent[]; until: number }) {
  const n = step.items
  const of = [...statesOf(events, spec.name, until)]
  const counts = n && ([[n.completed, 'completed'], [n.failed, 'failed'], [n.open, 'open'], [n.waiting, 'waiting'], [n.cancelled, 'cancelled']] as const).filter(([k]) => k > 0)
  return (
    <>
      <div>{n ? <>{count(n.total, 'item')}{counts!.length > 0 && ': '}{counts!.map(([k, what]) => `${k.toLocaleString('en')} ${what}`).join(', ')}</> : <span class="dim">its list is not known yet</span>}</div>
      <div class="dim">of <code>{typeof spec.for_each === 'string' ? spec.for_each : write(spec.for_each).slice(0, 120)}</code>{spec.max_parallel ? `, at most ${spec.max_parallel} at a time` : ''}{spec.tolerate !== undefined ? `, ${spec.tolerate} may fail` : ''}</div>
      {['failed', 'retrying', 'blocked', 'running', 'scheduled'].map((state) => {
        const names = of.filter(([, s]) => s === state).map(([name]) => name)
        return names.length > 0 && (
          <div class="items">
            <State state={state} />{' '}
            {names.slice(0, few).map((name) => <><StepLink name={name} /> </>)}
            {names.length > few && <span class="dim">and {names.length - few} more</span>}
          </div>
        )
      })}
    </>
  )
}

// ItemPane shows one item.
export function ItemPane({ run, item, name, history }: { run: Status; item: Item; name: string; history: History }) {
  const { spec, index } = item
  const until = run.as_of?.seq ?? Infinity
  const mine = history.events.filter((e) => e.step === name && e.seq <= until)
  const state = statesOf(history.events, spec.name, until).get(name)
  const list = history.events.findLast((e) => e.kind === 'ItemsSet' && e.step === spec.name && e.data?.list !== undefined && e.seq <= until)?.data?.list
  const value = Array.isArray(list) ? list[index] : undefined
  const output = state === 'completed' ? mine.findLast((e) => (e.kind === 'StepCompleted' || e.kind === 'RoundCompleted') && e.data?.output !== undefined)?.data?.output : undefined
  const failed = mine.findLast((e) => e.kind === 'AttemptFailed' || e.kind === 'StepFailed')?.data
  const attempts = attemptsOf(history.events, name, until)
  return (
    <>
      <section>
        <h2 class="step-name">{name}</h2>
        <div class="facts">
          {state ? <State state={state} /> : <span class="dim">has not begun</span>}
          <span class="dim">item {index}</span>
          {run.steps[spec.name]?.kept && <Kept how={run.steps[spec.name]!.kept!} />}
        </div>
        <dl>
          <dt>Of step</dt><dd><StepLink name={spec.name} /></dd>
          <dt>Handler</dt><dd>{spec.service_name}/{spec.handler_name}</dd>
        </dl>
      </section>
      {!run.as_of && may('operate') && run.state === 'running' && run.steps[spec.name]?.state === 'running' && !ended.has(state ?? '') && <EndByHand id={run.workflow_id} name={name} fail />}
      {failed && state !== 'completed' && (
        <section class="error">
          <h3>Last error <span class="code">{String(failed.code)}</span></h3>
          <p class="message">{String(failed.message ?? '')}</p>
        </section>
      )}
      <Attempts attempts={attempts} rounds={!!spec.repeat} then={run.as_of?.at} />
      {attempts.length > 0 && <Logs run={run.workflow_id} step={name} about={`${state} ${attempts.length}`} running={state === 'running'} at={run.as_of?.at} />}
      {output !== undefined && <section><Payload name="Output" value={output} /></section>}
      {value !== undefined && <section><Payload name="Item" value={value} /></section>}
      <Last history={history} name={name} limit={until} />
    </>
  )
}
