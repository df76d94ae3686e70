import { count, localTimes, span } from './format'
import { write } from './payload'
import type { RunEvent } from './types'

// kinds: the state that an event's icon shows, what it says, and how the slider marks it, if it does. ui/tables_test.go holds it to the
// kinds that there are.
const kinds: Record<string, [icon: string, text: string, mark?: string]> = {
  RunStarted: ['running', 'the run started'],
  StepScheduled: ['scheduled', 'was queued for a worker'],
  AttemptStarted: ['running', 'began'],
  AttemptFailed: ['failed', 'failed', 'bad'],
  AttemptLost: ['lost', 'was lost with its worker', 'bad'],
  StepCompleted: ['completed', 'completed'],
  StepFailed: ['failed', 'failed for good', 'bad'],
  StepSkipped: ['skipped', 'was skipped'],
  StepDeferred: ['deferred', 'was put off to its timer'],
  StepBlocked: ['blocked', 'waits for a key'],
  StepTimedOut: ['timed_out', 'timed out', 'wait'],
  KeysGranted: ['scheduled', 'got its keys'],
  RetrySet: ['retrying', 'will be tried again'],
  SignalAwaited: ['waiting', 'waits for a signal'],
  SignalReceived: ['completed', 'a signal arrived', 'wait'],
  TimerSet: ['waiting', 'waits for a time'],
  TimerFired: ['completed', 'its time came', 'wait'],
  AttemptEnded: ['cancelled', 'ended after it was cancelled'],
  RunForked: ['running', 'it is a fork', 'run'],
  StepKept: ['completed', 'was taken over'],
  RunBegan: ['running', 'the time to begin has come'],
  RunTagged: ['running', 'tags of the run were changed'],
  RunCompleted: ['completed', 'the run completed'],
  RunFailed: ['failed', 'the run failed', 'bad'],
  RunCancelled: ['cancelled', 'the run was cancelled'],
  RunReopened: ['running', 'the run was opened again', 'run'],
  StepCorrected: ['waiting', 'was ended by hand', 'wait'],
  RunPaused: ['waiting', 'the run was paused', 'wait'],
  RunResumed: ['running', 'the run was resumed', 'run'],
  RunQuarantined: ['quarantined', 'the run was quarantined', 'bad'],
  RunFinishing: ['finishing', 'the fate of the run was decided', 'run'],
  CompensationBegan: ['deferred', 'is taken back', 'wait'],
  FinallyBegan: ['running', 'the finally steps began', 'run'],
  ConditionEvaluated: ['condition', 'its condition was looked at'],
  FailureCaught: ['deferred', 'its failure is handled', 'wait'],
  RoundCompleted: ['completed', 'completed a round'],
  ItemsSet: ['running', 'goes over a list'],
  ChildStarted: ['running', 'started its child'],
  ChildStopped: ['cancelled', 'has its child cancelled', 'wait'],
  ChildEnded: ['cancelled', 'heard that a child has ended for which it does not wait'],
  TemplatesEvaluated: ['condition', 'its input and keys were worked out'],
  // Of the engine: they stand in no run.
  WorkflowRegistered: ['completed', 'a workflow was registered'],
  WorkflowUsed: ['completed', 'an earlier version of a workflow is current again'],
  WorkflowDeleted: ['cancelled', 'a version of a workflow was deleted'],
  RunsDeleted: ['cancelled', 'runs were deleted'],
  ObjectDeleted: ['cancelled', 'an object was deleted'],
  EngineStarted: ['running', 'the engine started'],
  SettingChanged: ['completed', 'a setting was changed'],
  ScheduleChanged: ['waiting', 'a schedule was changed'],
  ScheduleDecided: ['waiting', 'a due time of a schedule was decided'],
}

export const eventIcon = (e: RunEvent) => kinds[e.kind]?.[0] ?? 'pending'

export const eventMark = (e: RunEvent) => kinds[e.kind]?.[2]

// skips: why a step was skipped, as the end of a sentence.
const skips: Record<string, string> = {
  when: 'its condition is false',
  failure: 'something that it depends on failed or timed out',
  dependency: 'something that it depends on was skipped',
  not_needed: 'what it is for did not happen',
  operator: 'an operator skipped it',
}

export const whySkipped = (reason: string) => skips[reason] ?? reason

// told is an event as a sentence.
export function told(e: RunEvent): string {
  const d = e.data ?? {}
  let out = e.step && !e.kind.startsWith('Run') ? `${e.step} ` : ''
  if (e.kind === 'ConditionEvaluated') return out + condition(d)
  out += kinds[e.kind]?.[1] ?? e.kind
  if (e.attempt) out += `, attempt ${e.attempt}`
  if (e.kind === 'AttemptStarted' && d.worker) out += ` on ${d.worker}`
  if (e.kind === 'SignalReceived') out += `: ${d.name}`
  if (e.kind === 'TimerFired' && d.forced) out += ` early: ${d.by ?? 'somebody'} fired it`
  if (e.kind === 'StepSkipped' && d.reason) out += `: ${whySkipped(String(d.reason))}`
  if (e.kind === 'ChildStarted' || e.kind === 'ChildEnded') out += `: ${d.child}${d.again ? ', its last one, which goes on' : ''}`
  if (e.kind === 'FailureCaught' && d.on_failure) out += `: ${d.on_failure} takes over`
  if (e.kind === 'RunForked') out += ` of run ${d.forked_from} from ${d.from}`
  if (e.kind === 'StepKept') out += d.set ? ': completed, with an output that was given' : `: ${d.state}`
  if (e.kind === 'ItemsSet') out += d.count === undefined ? ', the one that it has' : `: ${count(Number(d.count), 'item')}`
  if (['RunCancelled', 'RunReopened', 'RunForked', 'RunPaused', 'RunResumed', 'StepCorrected'].includes(e.kind) && d.reason) out += `: ${d.reason}`
  if (e.kind === 'RunFinishing') out += `: ${d.fate}`
  if (d.workflow_name && e.kind.startsWith('Workflow')) out += `: ${d.workflow_name} version ${d.version}`
  if (d.code) out += `: ${d.code}${d.message ? ': ' + d.message : ''}`
  return out
}

// condition says what a condition came to.
function condition(d: Record<string, unknown>): string {
  if (d.of !== 'until') return `has a condition that is ${d.result}: ${d.when}`
  return d.result ? `has run often enough: ${d.until}` : `runs again: ${d.until} is false`
}

// seen is the values that a condition read, by their paths.
export function seen(saw: unknown): [path: string, value: unknown][] {
  return saw && typeof saw === 'object' ? Object.entries(saw) : []
}

const longest = 120 // characters of a value

const cut = (text: string) => (text.length > longest ? text.slice(0, longest) + '…' : text)

// unsaid is what a row of the list leaves out: the pane has all of it.
const unsaid = new Set(['stack', 'digest', 'objects', 'traceparent', 'started_at'])

// brief is an event's data in one line.
export function brief(e: RunEvent): string {
  const d = e.data ?? {}
  if (e.kind === 'ConditionEvaluated') {
    const parts = [`${d.until ?? d.when} is ${d.result}`, ...seen(d.saw).map(([path, value]) => `${path}=${cut(write(value))}`)]
    if (d.due) parts.push('next round in ' + span(Date.parse(String(d.due)) - Date.parse(e.at)))
    return parts.join('  ')
  }
  const parts: string[] = []
  for (const [key, value] of Object.entries(d)) {
    if (unsaid.has(key)) continue
    parts.push(`${key}=${cut(typeof value === 'string' ? localTimes(value) : write(value))}`)
    if (parts.length === 5) break
  }
  return parts.join('  ')
}
