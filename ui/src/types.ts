// The shapes of docs/openapi.json that the page reads.

export type Json = unknown

export interface Reason {
  step?: string
  code: string
  detail: string
  command?: string
  count?: number
  steps?: string[]
}

export interface StepError {
  code: string
  message: string
  type?: string
  stack?: string
  attempt: number
}

export interface Step {
  state: string
  type: string
  attempt: number
  failures?: number
  since: string
  due?: string
  timer_key?: string
  worker?: string
  output?: Json
  error?: StepError
  heartbeat?: Json
  skip_reason?: string // when, failure, dependency, not_needed
  condition?: { when: string; result: boolean; saw: Json }
  child?: string // of a workflow step: the id of its newest child
  kept?: string // of a fork: kept, or set when its output was given
  caught?: boolean // it failed, and the step of its on_failure took over
  items?: { total: number; completed: number; failed: number; open: number; waiting: number; cancelled: number } // of a step with for_each
  round?: number // of a step with repeat, from 0
  compensation?: string // of one that is compensated: waiting, running, done, failed
}

// Fork is a fork of a run, or the plan of one.
export interface Fork {
  workflow_id?: string
  plan?: { kept: string[]; set: string[]; runs_again: string[]; may_repeat: string[]; why?: Record<string, { code: string; after?: string }> }
}

// Plan says what ending a step by hand, a retry or a cancel would do.
export interface Plan {
  was: string
  state: string
  fate?: string
  reopened: boolean
  ends: { step: string; was: string; state: string; reason?: string }[]
  starts: { step: string; was: string; state: string; reason?: string; due?: string }[] // due: until when it waits at most
  evaluates: string[] // '' is the output of the run
  attempts: { step: string; attempt: number; worker?: string }[]
  children: { step: string; workflow_id: string; what: string; reason?: string; compensates?: string[] }[]
  stay: string[] // steps whose children completed, and stay as they are
  compensates: string[]
  finally: string[]
  may_repeat: string[]
  left_off: number
}

export interface Status {
  workflow_id: string
  workflow_name: string
  version: number
  state: string
  input: Json
  output: Json
  error?: { step: string; code: string; message: string; attempt: number }
  reason?: string
  created_at: string
  completed_at?: string
  steps: Record<string, Step>
  step_counts: Record<string, number>
  reasons?: Reason[]
  handled_failures?: number
  start_at?: string // until when its first steps wait, or waited
  paused?: boolean
  forked_from?: { workflow_id: string; step: string }
  fate?: string // of a run that is, or was, finishing
  compensation?: { total: number; done: number; failed: { step: string; code: string; message: string }[]; now?: { step: string; state: string; attempt: number } }
  deadline?: string // of an open run, when its time is over
  tags?: Record<string, string>
  parent?: { workflow_id: string; step: string; index?: number; abandon?: boolean }
  last_seq: number
  events: number
  as_of?: { seq: number; n: number; at: string }
}

// Hold is how the hold of a daemon stands that was started with --careful.
export interface Hold {
  held: boolean
  runs: number
  resuming: boolean
  resumed: number
  per_second: number
}

export interface RunHead {
  workflow_id: string
  workflow_name: string
  version: number
  state: string
  paused?: boolean
  created_at: string
  completed_at?: string
  error?: string
  error_message?: string
  cancel_reason?: string
  tags?: Record<string, string>
  reason?: Reason | undefined
  step_counts?: Record<string, number> | undefined
}

export interface RunEvent {
  seq: number
  n?: number
  at: string
  workflow_id?: string
  kind: string
  step?: string
  attempt?: number
  data?: Record<string, Json>
  newer_release?: boolean
}

export interface EventPage {
  events: RunEvent[]
  next_cursor: string
}

export interface StepSpec {
  name: string
  type?: string
  dependencies?: string[]
  compensate?: { service_name?: string; handler_name: string; also_if_started?: boolean }
  after?: string[] // dependencies for order alone
  join?: string // all, any, settled
  when?: string
  on_failure?: string
  for_each?: Json // a list, or an expression that gives one
  max_parallel?: number
  tolerate?: number | string
  repeat?: { until: string; interval_ms?: number; backoff_coefficient?: number; max_interval_ms?: number; max_rounds?: number }
  workflow_name?: string
  workflow_version?: number
  on_parent_end?: string
  service_name?: string
  handler_name?: string
  object_keys?: string[]
  input_data?: Json
  input?: Json // templates
  timeout_ms?: number
  heartbeat_timeout_ms?: number
  retry?: { max_attempts?: number; initial_interval_ms?: number; backoff_coefficient?: number; max_interval_ms?: number }
  signal?: { name: string; timeout_ms?: number; on_timeout?: string }
  timer?: { key: string; delay_ms?: number; cron_expr?: string; time_zone?: string; max_retries?: number }
}

export interface Definition {
  steps: StepSpec[]
  finally?: StepSpec[] // they run when the fate of a run is decided
}

// stepsOf are all steps of a definition, those of finally last.
export const stepsOf = (def: Definition | undefined): StepSpec[] => [...(def?.steps ?? []), ...(def?.finally ?? [])]

export interface Workflow {
  name: string
  version: number
  current: number
  digest: string
  created_at: string
  versions: number
  version_numbers?: number[] // of one workflow
  definition?: Definition
}

export interface Task {
  workflow_id: string
  step: string
  attempt: number
  since: string
  heartbeat?: Json
  cancelled?: boolean
}

export interface AttemptLog {
  step: string
  attempt: number
  from: number
  to: number
  text: string
}

export interface Worker {
  worker_id: string
  service_name: string
  service_version?: string
  handlers: string[]
  capacity: number
  joined_at: string
  push?: boolean
  running: Task[]
  silent_ms: number
  waiting: boolean
}

export interface Service {
  name: string
  kind: 'poll' | 'push'
  paused?: { at: string; by: string; reason?: string }
  url: string
  handlers: string[]
  capacity: number
  timeout_ms: number
}

export interface Holder {
  workflow_id: string
  step: string
}

export interface ObjectState {
  key: string
  state: Json
  version: number
  fence: number
  holder?: Holder
  queue?: Holder[]
}

export interface VersionInfo {
  version: string
  format: number
  go: string
  api: string
  durable: number
  file?: string // a journal that no daemon holds, and when it was written last
  as_of?: string
}

export interface Readiness {
  ready: boolean
  reasons: { code: string; detail: string }[]
}

export interface ScheduleTime {
  nominal_at: string
  due_at: string
  local: string // as the clocks of the schedule's zone show it, with the offset
  excluded?: boolean
  skipped?: boolean
  note?: string // what clocks that jump have to do with it
}

export interface ScheduleRow {
  nominal_at: string
  local: string
  decided_at: string
  started_at?: string
  lag_ms: number
  outcome: string
  code?: string
  detail?: string
  run_id?: string
  revision: number
  by?: string
  note?: string
  count?: number // of several in a row
  last_at?: string
  last_local?: string
}

export interface ScheduleDefinition {
  workflow: string
  version?: number
  cron?: string[]
  every_ms?: number
  at?: string[]
  time_zone?: string
  overlap?: string
  input?: Json
  note?: string
}

export interface Schedule {
  name: string
  state: string // active, paused, ended, deleted
  revision: number
  owner: string
  definition: ScheduleDefinition
  paused?: { since: string; by?: string; note?: string }
  next?: ScheduleTime
  last?: ScheduleRow
  missed_7d: number
  overdue_ms: number
  running: string[]
  waiting: number
  runs: number
  backfill?: { from: string; to: string; at: string; started: number; exists: number; failed: number; by?: string }
  changed_at: string
  changed_by?: string
}

export interface ScheduleReason {
  code: string
  detail: string
  help?: string
}
