import { act, cancelRun, fireTimer, resumeAll, resumeRun, resumeService, retryRun, signalRun } from './dialog'
import { Copy, may, StateIcon } from './bits'
import { command, count, localTimes, words } from './format'
import { change, go, link } from './route'
import { type Definition, type Reason, type Status, stepsOf } from './types'

// codes are those of GET /v1/runs/{id}/explain, each with its name here and the state that its icon shows. Their order says which
// reason is told first: what a person must do something about, then what takes its time, then what moves. A test holds them to the daemon's.
const codes: [code: string, label: string, icon: string][] = [
  ['newer_release', 'Newer release', 'quarantined'],
  ['quarantined', 'Quarantined', 'quarantined'],
  ['disk_full', 'Disk full', 'quarantined'],
  ['paused', 'Paused', 'waiting'],
  ['service_paused', 'Service paused', 'waiting'],
  ['no_worker', 'No worker', 'quarantined'],
  ['no_workflow', 'No workflow', 'quarantined'],
  ['key_held', 'Key held', 'blocked'],
  ['service_full', 'Service full', 'scheduled'],
  ['unknown_signal', 'Unknown signal', 'quarantined'],
  ['signal', 'Signal missing', 'waiting'],
  ['retry_at', 'Retry waiting', 'retrying'],
  ['queued', 'Queued', 'scheduled'],
  ['child', 'Child running', 'running'],
  ['repeat', 'Next round', 'waiting'],
  ['timer', 'Timer', 'waiting'],
  ['finishing', 'Finishing', 'running'],
  ['running', 'Running', 'running'],
]

const rank = (r: Reason) => codes.findIndex(([code]) => code === r.code) // one that is not known comes first

export const sorted = (reasons: Reason[]) => [...reasons].sort((a, b) => rank(a) - rank(b))

export const summary = (reasons: Reason[]) => sorted(reasons)[0]

export const moving = (r: Reason) => r.code === 'running'

export interface Remedy {
  label: string
  scope: 'read' | 'operate'
  line?: string // the command at a shell
  run: () => void
}

// remedyOf is what a reason's command does, as a button.
export function remedyOf(r: Reason, st: Status, def: Definition | undefined): Remedy | undefined {
  const id = st.workflow_id
  const [, verb, target, arg] = words(r.command ?? '')
  const line = verb ? r.command!.split(' && ').map((one) => command(...words(one).slice(1))).join(' && ') : undefined
  const with_ = (label: string, scope: 'read' | 'operate', run: () => void): Remedy => (line ? { label, scope, run, line } : { label, scope, run })
  // The command would end the run, to begin it anew: what is wanted first is what went wrong.
  if (r.code === 'retry_at' && r.step) return with_('Show the error', 'read', () => change({ step: r.step }))
  switch (verb) {
    case 'signal':
      return with_('Send signal ' + arg, 'operate', () => act(signalRun(id, arg ?? '')))
    case 'fire':
      return with_('Fire timer now', 'operate', () => act(fireTimer(id, arg ?? '')))
    case 'services':
      return target === 'resume' && arg ? with_('Resume service ' + arg, 'operate', () => act(resumeService(arg))) : undefined
    case 'resume':
      if (target === '--all') return with_('Resume all runs', 'operate', () => act(resumeAll()))
      return with_('Resume run', 'operate', () => act(resumeRun(id)))
    case 'cancel':
      return r.code === 'finishing' ? with_('End run now', 'operate', () => act(cancelRun(id, true))) : with_('Cancel run', 'operate', () => act(cancelRun(id)))
    case 'explain':
    case 'show':
    case 'history':
      if (target && target !== id) return with_('Open run ' + target, 'read', () => go(link('run', target)))
      return with_('Show its events', 'read', () => go(link('run', id, 'events')))
    case 'workers': {
      const spec = stepsOf(def).find((s) => s.name === r.step)
      return with_('Show workers', 'read', () => go(link('workers', '', '', spec?.service_name ? { service: spec.service_name } : {})))
    }
  }
  if (r.code === 'service_full' || r.code === 'queued') {
    const spec = stepsOf(def).find((s) => s.name === r.step)
    return { label: 'Show who is busy', scope: 'read', run: () => go(link('workers', '', '', spec?.service_name ? { service: spec.service_name } : {})) }
  }
  if (r.code === 'repeat' && r.step) return { label: 'Show its rounds', scope: 'read', run: () => change({ step: r.step }) }
  if (r.code === 'unknown_signal') return { label: 'Show its signals', scope: 'read', run: () => go(link('run', id, 'events', { only: 'SignalReceived' })) }
  return undefined
}

// Retry offers to open a run again. A child is retried with its parent.
function Retry({ run: st, primary }: { run: Status; primary?: boolean }) {
  if (st.parent && !st.parent.abandon) {
    return <p>It is a child, and is retried with its parent, <a href={link('run', st.parent.workflow_id, '', { step: st.parent.step })}>{st.parent.workflow_id}</a>.</p>
  }
  return (
    <div class="buttons">
      <button type="button" class={primary ? 'primary' : ''} onClick={() => act(retryRun(st.workflow_id))}>
        Retry run
      </button>
      <code class="line">{command('retry', st.workflow_id)}</code>
      <Copy text={command('retry', st.workflow_id)} />
    </div>
  )
}

// Banner says why the run does not move, or how it ended, with a button for each command.
export function Banner({ run: st, def, past }: { run: Status; def: Definition | undefined; past: boolean }) {
  if (st.state === 'failed' && st.error) {
    const e = st.error
    return (
      <section class="banner bad" aria-label="Why it failed">
        <h2>
          <StateIcon state="failed" /> {e.step ? <>Failed in step <StepLink name={e.step} /></> : 'Failed'}{' '}
          <span class="code">{e.code}</span>
        </h2>
        <p class="message">{e.message}</p>
        {!past && may('operate') && <Retry run={st} primary />}
      </section>
    )
  }
  if (st.state === 'cancelled') {
    return (
      <section class="banner" aria-label="Why it ended">
        <h2>
          <StateIcon state="cancelled" /> Cancelled{st.reason ? ': ' + st.reason : ''}
        </h2>
        {!past && may('operate') && <Retry run={st} />}
      </section>
    )
  }
  const reasons = sorted(st.reasons ?? [])
  if (reasons.length === 0) return null
  const stuck = reasons.filter((r) => !moving(r))
  const moves = reasons.length > stuck.length
  const shown = (stuck.length ? stuck : reasons).slice(0, 6)
  const steps = (list: Reason[]) => list.reduce((n, r) => n + (r.count ?? 1), 0)
  const title = past ? (stuck.length === 0 ? count(steps(reasons), 'step was running', 'steps were running') : 'What it waited for') : stuck.length === 0 ? count(steps(reasons), 'step is running', 'steps are running') : moves ? 'Moving, but some steps wait' : 'Why it does not move'
  return (
    <section class={'banner ' + (stuck.length ? 'wait' : 'run')} aria-label="Why it does not move">
      <h2>{title}</h2>
      <ul>
        {shown.map((r) => (
          <Line key={r.code + ' ' + (r.step ?? r.detail)} reason={r} st={st} def={def} past={past} />
        ))}
      </ul>
      {reasons.length > shown.length && <p class="dim">{count(steps(reasons) - steps(shown), 'more step', 'more steps')}, shown in the graph and the list of steps.</p>}
    </section>
  )
}

function Line({ reason: r, st, def, past }: { reason: Reason; st: Status; def: Definition | undefined; past: boolean }) {
  const [, label, icon] = codes[rank(r)] ?? ['', r.code, 'waiting']
  const remedy = past ? undefined : remedyOf(r, st, def)
  const offered = remedy && (remedy.scope === 'read' || may('operate'))
  return (
    <li data-code={r.code}>
      <span class="label">
        <StateIcon state={icon} /> {label}
      </span>
      <span class="text">
        {r.step && <StepLink name={r.step} />}
        {r.count ? <span class="dim"> and {count(r.count - 1, 'other')}</span> : null} {localTimes(r.detail)}
      </span>
      {offered && (
        <span class="buttons">
          <button type="button" class={remedy.scope === 'operate' ? 'primary' : ''} onClick={remedy.run}>
            {remedy.label}
          </button>
          {remedy.line && <Copy text={remedy.line} label="CLI" />}
        </span>
      )}
    </li>
  )
}

export function StepLink({ name }: { name: string }) {
  return (
    <button type="button" class="linkish" onClick={() => change({ step: name, event: '' })}>
      {name}
    </button>
  )
}

