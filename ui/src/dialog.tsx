import { effect, signal } from '@preact/signals'
import { useEffect, useRef, useState } from 'preact/hooks'
import { ask } from './api'
import { useForgotten } from './asked'
import { Command, Problem, stateName } from './bits'
import { place } from './route'
import { command } from './format'
import type { Fork, Plan } from './types'

// An action on the daemon, as it is put before somebody: what will happen, the command line that does the same, and what it asks for.
export interface Action {
  title: string
  what: string // what will happen, in a sentence
  button: string
  danger?: boolean
  line: (fields: Record<string, string>) => string
  fields?: Field[]
  confirm?: string // must be typed
  plan?: (fields: Record<string, string>) => Promise<[what: string, steps: string[]][]> // what it would do, step by step
  send: (fields: Record<string, string>) => Promise<void>
}

export interface Field {
  name: string
  label: string
  hint?: string
  json?: boolean // checked before it is sent; an area instead of a line
  most?: number // it is a whole number from 1 up to this one, or nothing; checked before it is sent
  value?: string
  options?: string[] // one of these
}

const open = signal<Action | undefined>(undefined)
effect(() => {
  void (place.value.screen + place.value.id) // it was about that place
  open.value = undefined
})

export const act = (a: Action) => (open.value = a)
export const dialogIsOpen = () => open.value !== undefined

export function Dialog() {
  const a = open.value
  return a ? <Open key={a.title} action={a} /> : null
}

function Open({ action: a }: { action: Action }) {
  const box = useRef<HTMLDialogElement>(null)
  const [fields, setFields] = useState<Record<string, string>>(Object.fromEntries((a.fields ?? []).map((f) => [f.name, f.value ?? ''])))
  const [typed, setTyped] = useState('')
  const [error, setError] = useState<unknown>()
  const [plan, setPlan] = useState<[string, string[]][]>()
  const [refused, setRefused] = useState<unknown>()
  const [busy, setBusy] = useState(false)
  useForgotten(error, () => setError(undefined))
  useEffect(() => {
    const before = document.activeElement
    box.current?.showModal()
    return () => {
      if (before instanceof HTMLElement && before.isConnected) before.focus()
    }
  }, [])
  const wrong = (a.fields ?? []).map((f) => mistake(f, fields[f.name] ?? '')).find(Boolean)
  const said = JSON.stringify({ ...fields, reason: '' }) // a reason changes nothing of what will happen
  useEffect(() => {
    if (!a.plan || wrong) return
    let over = false
    const soon = setTimeout(() => {
      a.plan!(fields).then(
        (p) => {
          if (over) return
          setPlan(p)
          setRefused(undefined)
        },
        (failure: unknown) => !over && setRefused(failure),
      )
    }, plan || refused ? 250 : 0) // somebody may be typing
    return () => {
      over = true
      clearTimeout(soon)
    }
  }, [said])
  const ready = !busy && !wrong && (!a.confirm || typed === a.confirm)
  const send = async (e: Event) => {
    e.preventDefault()
    if (!ready) return
    setBusy(true)
    setError(undefined)
    try {
      await a.send(fields)
      open.value = undefined
    } catch (failure) {
      setError(failure)
      setBusy(false)
    }
  }
  const set = (name: string, value: string) => {
    setFields({ ...fields, [name]: value })
    if (name === 'reason') return
    setPlan(undefined) // it was of what stood there before
    setRefused(undefined)
  }
  return (
    <dialog ref={box} aria-labelledby="dialog-title" onClose={() => (open.value = undefined)}>
      <form onSubmit={send}>
        <h2 id="dialog-title">{a.title}</h2>
        <p>{a.what}</p>
        {a.fields?.map((f) => (
          <label class="field">
            <span>
              {f.label} {f.hint && <i>{f.hint}</i>}
            </span>
            {f.options ? (
              <select value={fields[f.name]} onChange={(e) => set(f.name, e.currentTarget.value)}>
                {f.options.map((o) => (
                  <option value={o}>{o}</option>
                ))}
              </select>
            ) : f.json ? (
              <textarea rows={5} spellcheck={false} value={fields[f.name]} onInput={(e) => set(f.name, e.currentTarget.value)} />
            ) : (
              <input value={fields[f.name]} autocomplete="off" onInput={(e) => set(f.name, e.currentTarget.value)} />
            )}
          </label>
        ))}
        {a.confirm && (
          <label class="field">
            <span>
              Type <code>{a.confirm}</code> to confirm
            </span>
            <input value={typed} autocomplete="off" spellcheck={false} onInput={(e) => setTyped(e.currentTarget.value)} />
          </label>
        )}
        {wrong && <p class="wrong">{wrong}</p>}
        {a.plan && !plan && !refused && <p class="dim">It is worked out what will happen…</p>}
        {plan && (
          <dl class="plan" aria-label="What will happen">
            {plan.map(([what, steps]) => (
              <>
                <dt>{what}</dt>
                <dd>{steps.join(', ') || 'none'}</dd>
              </>
            ))}
          </dl>
        )}
        <Problem error={error ?? refused} />
        <div class="or">The same at a shell</div>
        <Command line={a.line(fields)} />
        <div class="buttons">
          <button type="button" class="quiet" onClick={() => (open.value = undefined)}>
            Close
          </button>
          <button type="submit" class={a.danger ? 'danger' : 'primary'} disabled={!ready}>
            {a.button}
          </button>
        </div>
      </form>
    </dialog>
  )
}

// mistake says what is wrong with what stands in a field.
export function mistake(f: Field, text: string): string | false {
  if (f.json) return notJSON(text)
  const typed = text.trim()
  if (!f.most || !typed || (/^[0-9]+$/.test(typed) && Number(typed) >= 1 && Number(typed) <= f.most)) return false
  return `${f.label}: want a whole number from 1 to ${f.most.toLocaleString('en')}, or nothing`
}

function notJSON(text: string): string | false {
  if (!text.trim()) return false
  try {
    JSON.parse(text)
    return false
  } catch (e) {
    return 'This is not JSON: ' + (e as Error).message
  }
}

const post = async (path: string, body?: unknown) => void (await ask(path, body === undefined ? { method: 'POST' } : { method: 'POST', body }))

const run = (id: string) => '/v1/runs/' + encodeURIComponent(id)

const why = { name: 'reason', label: 'Why', hint: 'kept in the history, with who did it' }

// planned asks what a request would do.
async function planned(path: string, output?: string, more: Record<string, unknown> = {}): Promise<[string, string[]][]> {
  const rest = JSON.stringify({ plan: true, ...more })
  const { value: p } = await ask<Plan>(path, { method: 'POST', text: output === undefined ? rest : `{"output":${output},${rest.slice(1)}` })
  return rowsOf(p)
}

const child = (c: Plan['children'][number]) =>
  `${c.workflow_id} of ${c.step} is ${c.what === 'replaced' ? 'replaced by a new one' : c.what.replace('_', ' ')}` +
  (c.reason ? ` (${c.reason})` : '') +
  (c.compensates?.length ? ` and compensates ${c.compensates.join(' and ')}` : '')

// rowsOf are the lines of a plan, but for those that say nothing.
export function rowsOf(p: Plan): [string, string[]][] {
  const steps = (list: Plan['starts']) => list.map((s) => `${s.step} ${stateName(s.state)}${s.reason ? ` (${s.reason})` : ''}${s.due ? ` until ${s.due}` : ''}`)
  const then = p.state === 'finishing' ? `finishing, and then ${p.fate}` : p.reopened ? `open again, ${p.state}` : p.state
  const rows: [string, string[]][] = [
    ['the run is then', [then + (p.was !== p.state || p.reopened ? ` (it is ${p.was})` : '')]],
    ['ends', steps(p.ends)],
    ['starts', steps(p.starts)],
    ['is worked out', p.evaluates.map((s) => s || 'the output of the run')],
    ['attempts cancelled', p.attempts.map((t) => `${t.step}, attempt ${t.attempt} on worker ${t.worker || 'in process'}`)],
    ['children', p.children.map(child)],
    ['children stay', p.stay],
    ['is compensated', p.compensates],
    ['finally runs', p.finally],
    ['may repeat outside', p.may_repeat],
    ['not shown', p.left_off ? [`${p.left_off} more`] : []],
  ]
  return rows.filter(([, list]) => list.length > 0)
}

export const signalRun = (id: string, name: string, then?: () => void): Action => ({
  title: 'Send signal ' + name,
  what: `Run ${id} gets the signal; a step that waits for it completes, with the payload as its output.`,
  button: 'Send signal',
  fields: [{ name: 'payload', label: 'Payload', hint: 'JSON; empty: null', json: true }],
  line: (f) => command('signal', id, name, ...(f.payload?.trim() ? ['--payload', f.payload.trim()] : [])),
  send: async (f) => {
    const payload = f.payload?.trim() || 'null'
    await ask(`${run(id)}/signals/${encodeURIComponent(name)}`, { method: 'POST', text: `{"payload":${payload},"signal_id":${JSON.stringify('page-' + unique())}}` })
    then?.()
  },
})

export const fireTimer = (id: string, key: string): Action => ({
  title: 'Fire timer ' + key,
  what: `The timer of run ${id} fires now instead of at its time. What depends on it starts.`,
  button: 'Fire now',
  line: () => command('fire', id, key),
  send: () => post(`${run(id)}/timers/${encodeURIComponent(key)}/fire`),
})

export const cancelRun = (id: string, now = false): Action => ({
  title: now ? 'End run now' : 'Cancel run',
  what: now
    ? `Run ${id} ends at once: nothing more is compensated, and its finally steps do not run.`
    : `Run ${id} ends as cancelled: open steps are cancelled, workers are told to stop. Completed steps keep what they did, but for those that its workflow compensates.`,
  button: now ? 'End run now' : 'Cancel run',
  danger: true,
  fields: [why],
  plan: () => planned(run(id) + '/cancel', undefined, now ? { force: true } : {}),
  line: (f) => command('cancel', id, ...(now ? ['--force'] : []), ...(f.reason ? ['--reason', f.reason] : [])),
  send: (f) => post(run(id) + '/cancel', { ...(f.reason ? { reason: f.reason } : {}), ...(now ? { force: true } : {}) }),
})

export const pauseRun = (id: string): Action => ({
  title: 'Pause run',
  what: `No task of run ${id} is handed out, and no timer, timeout or retry of it comes, until it is resumed. What workers have goes on, and signals are taken.`,
  button: 'Pause run',
  fields: [{ name: 'reason', label: 'Reason', hint: 'kept in the history' }],
  line: (f) => command('pause', id, ...(f.reason ? ['--reason', f.reason] : [])),
  send: (f) => post(run(id) + '/pause', f.reason ? { reason: f.reason } : {}),
})

const ended = (id: string, step: string, verb: string, f: Record<string, string>, more: string[] = []) => command(verb, id, step, ...more, ...(f.reason ? ['--reason', f.reason] : []))

const stepPath = (id: string, step: string) => `${run(id)}/steps/${encodeURIComponent(step)}`

const taken = 'An attempt that a worker has is cancelled. Of a run that has failed, the run is opened again: what was cancelled starts anew.'

export const completeStep = (id: string, step: string): Action => ({
  title: 'Complete step ' + step,
  what: `Step ${step} of run ${id} counts as completed, with the output that you give. What depends on it goes on. ${taken}`,
  button: 'Complete step',
  fields: [{ name: 'output', label: 'Output', hint: 'JSON; empty: null', json: true }, why],
  plan: (f) => planned(stepPath(id, step) + '/complete', f.output?.trim() || 'null'),
  line: (f) => ended(id, step, 'complete', f, f.output?.trim() ? ['--payload', f.output.trim()] : []),
  send: async (f) => void (await ask(stepPath(id, step) + '/complete', { method: 'POST', text: `{"output":${f.output?.trim() || 'null'},"reason":${JSON.stringify(f.reason ?? '')}}` })),
})

export const skipStep = (id: string, step: string): Action => ({
  title: 'Skip step ' + step,
  what: `Step ${step} of run ${id} is skipped. What needs it is skipped, too, unless its join says otherwise. ${taken}`,
  button: 'Skip step',
  fields: [why],
  plan: () => planned(stepPath(id, step) + '/skip'),
  line: (f) => ended(id, step, 'skip', f),
  send: (f) => post(stepPath(id, step) + '/skip', f.reason ? { reason: f.reason } : {}),
})

export const failStep = (id: string, step: string): Action => ({
  title: 'Fail step ' + step,
  what: `Step ${step} of run ${id} fails for good: nothing tries it again. The run fails, unless the step has an on_failure. An attempt that a worker has is cancelled.`,
  button: 'Fail step',
  danger: true,
  fields: [why],
  plan: () => planned(stepPath(id, step) + '/fail'),
  line: (f) => ended(id, step, 'fail', f),
  send: (f) => post(stepPath(id, step) + '/fail', f.reason ? { reason: f.reason } : {}),
})

const service = (name: string) => '/v1/services/' + encodeURIComponent(name)

export const pauseService = (name: string): Action => ({
  title: 'Pause service ' + name,
  what: `Nobody gets a task of service ${name} until it is resumed. What workers have goes on.`,
  button: 'Pause service',
  fields: [{ name: 'reason', label: 'Reason', hint: 'kept in the history' }],
  line: (f) => command('services', 'pause', name, ...(f.reason ? ['--reason', f.reason] : [])),
  send: (f) => post(service(name) + '/pause', f.reason ? { reason: f.reason } : {}),
})

export const resumeService = (name: string): Action => ({
  title: 'Resume service ' + name,
  what: `Tasks of service ${name} are handed out again.`,
  button: 'Resume service',
  fields: [{ name: 'reason', label: 'Reason', hint: 'kept in the history' }],
  line: (f) => command('services', 'resume', name, ...(f.reason ? ['--reason', f.reason] : [])),
  send: (f) => post(service(name) + '/resume', f.reason ? { reason: f.reason } : {}),
})

export const resumeRun = (id: string): Action => ({
  title: 'Resume run',
  what: `Tasks of run ${id} are handed out again, and what is overdue comes at once.`,
  button: 'Resume run',
  fields: [{ name: 'reason', label: 'Reason', hint: 'kept in the history' }],
  line: (f) => command('resume', id, ...(f.reason ? ['--reason', f.reason] : [])),
  send: (f) => post(run(id) + '/resume', f.reason ? { reason: f.reason } : {}),
})

export const resumeAll = (): Action => ({
  title: 'Resume all runs',
  what: 'The runs that the daemon holds go on, oldest first; what is overdue in a run comes when its turn has come. Runs that are paused themselves stay so.',
  button: 'Resume all',
  fields: [{ name: 'per_second', label: 'Runs a second', hint: 'empty: as fast as it goes', most: 1_000_000 }, { name: 'reason', label: 'Reason', hint: 'kept in the journal' }],
  line: (f) => command('resume', '--all', ...(f.per_second?.trim() ? ['--per-second', f.per_second.trim()] : []), ...(f.reason ? ['--reason', f.reason] : [])),
  send: (f) => post('/v1/hold/resume', { per_second: Number(f.per_second?.trim() || 0), reason: f.reason ?? '' }),
})

export const tagRun = (id: string, tags: Record<string, string>): Action => {
  const changes = (f: Record<string, string>) => {
    const want = f.tags?.trim() ? (JSON.parse(f.tags) as Record<string, string>) : {}
    const set = Object.entries(want).filter(([name, value]) => tags[name] !== value)
    return { set, gone: Object.keys(tags).filter((name) => !(name in want)) }
  }
  return {
    title: 'Change tags',
    what: `Run ${id} gets these tags. Lists find runs by their tags; the history of the run says who changed them.`,
    button: 'Change tags',
    fields: [{ name: 'tags', label: 'Tags', hint: 'JSON: {"name": "value"}; empty: none', json: true, value: JSON.stringify(tags, null, 2) }],
    line: (f) => {
      try {
        const { set, gone } = changes(f)
        return command('tag', id, ...set.map(([name, value]) => `${name}=${value}`), ...gone.flatMap((name) => ['--remove', name]))
      } catch {
        return command('tag', id) // it is being typed
      }
    },
    send: async (f) => {
      const { set, gone } = changes(f)
      await ask(run(id), { method: 'PATCH', body: { tags: Object.fromEntries([...set, ...gone.map((name) => [name, null])]) } })
    },
  }
}

export const retryRun = (id: string): Action => ({
  title: 'Retry run',
  what: `Run ${id} is opened again: steps that failed or were cancelled start anew with their full number of attempts. Completed steps are not run again.`,
  button: 'Retry run',
  fields: [why],
  plan: () => planned(run(id) + '/retry'),
  line: (f) => command('retry', id, ...(f.reason ? ['--reason', f.reason] : [])),
  send: (f) => post(run(id) + '/retry', f.reason ? { reason: f.reason } : {}),
})

// forkBody says how a run is forked: fields of JSON as they stand.
function forkBody(f: Record<string, string>, more: Record<string, unknown>): string {
  const parts = [`"from":${JSON.stringify(f.from ?? '')}`]
  if (f.set?.trim()) parts.push(`"set":${f.set.trim()}`)
  if (f.input?.trim()) parts.push(`"input_data":${f.input.trim()}`)
  if (f.version) parts.push(`"version":${Number(f.version)}`)
  for (const [k, v] of Object.entries(more)) if (v !== undefined) parts.push(`${JSON.stringify(k)}:${JSON.stringify(v)}`)
  return `{${parts.join(',')}}`
}

const outputs = (text: string): [string, unknown][] => {
  try {
    return Object.entries(JSON.parse(text || '{}') as Record<string, unknown>)
  } catch {
    return []
  }
}

// whyAgain says why a step runs again in a fork.
const whyAgain = (w: { code: string; after?: string } | undefined): string =>
  ({ from: 'from here', after: `after ${w?.after}`, after_set: `after ${w?.after}, which is set`, not_settled: 'failed, or had not ended', compensated: 'was compensated, or was to be', new: 'is new', other_type: 'is of another type', other_branch: 'leads to another step', finally: 'always runs' })[w?.code ?? ''] ?? w?.code ?? ''

export const forkRun = (id: string, steps: string[], from: string, versions: number[], version: number, then: (id: string) => void): Action => {
  const made = 'page-' + unique()
  const forked = (f: Record<string, string>, more: Record<string, unknown>) => ask<Fork>(run(id) + '/fork', { method: 'POST', text: forkBody(f, more) })
  return {
    title: 'Fork run',
    what: `A new run takes over from run ${id}. The step that you name and everything after it run again, and so does what had not settled; all else is kept, and never runs there.`,
    button: 'Fork run',
    fields: [
      { name: 'from', label: 'From step', options: steps, value: from },
      ...(versions.length > 1 ? [{ name: 'version', label: 'Version', hint: `of the workflow; the run has ${version}`, options: versions.map(String), value: String(version) }] : []),
      { name: 'set', label: 'Outputs', hint: 'JSON: {"step": output}; those steps count as completed', json: true },
      { name: 'input', label: 'Input', hint: 'JSON; empty: that of the run', json: true },
      { name: 'id', label: 'Id of the new run', hint: 'empty: one is made' },
      why,
    ],
    line: (f) =>
      command('fork', id, '--from', f.from ?? '', ...outputs(f.set ?? '').flatMap(([step, output]) => ['--set', `${step}=${JSON.stringify(output)}`]), ...(f.input?.trim() ? ['--input', f.input.trim()] : []), ...(f.version && f.version !== String(version) ? ['--version', f.version] : []), ...(f.id ? ['--id', f.id] : []), ...(f.reason ? ['--reason', f.reason] : [])),
    plan: async (f) => {
      const { plan } = (await forked(f, { plan: true })).value
      return [
        ['kept', plan?.kept ?? []],
        ['set', plan?.set ?? []],
        ['runs again', (plan?.runs_again ?? []).map((step) => `${step} (${whyAgain(plan?.why?.[step])})`)],
        ['may repeat outside', plan?.may_repeat ?? []],
      ]
    },
    send: async (f) => then((await forked(f, { workflow_id: f.id || made, ...(f.reason ? { reason: f.reason } : {}) })).value.workflow_id!),
  }
}

export const deleteRun = (id: string, then: () => void): Action => ({
  title: 'Delete run',
  what: `Run ${id} and its whole history are removed from the journal. This cannot be undone.`,
  button: 'Delete run',
  danger: true,
  confirm: id,
  line: () => command('delete', id),
  send: async () => {
    await ask(run(id), { method: 'DELETE' })
    then()
  },
})

let last = 0

// unique is an id that no other tab gives: an answer that got lost can be asked for again.
export const unique = () => Date.now().toString(36) + '-' + (last++).toString(36) + Math.random().toString(36).slice(2, 8)
