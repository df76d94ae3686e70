import { useState } from 'preact/hooks'
import { ask, Failure, runPath } from './api'
import { useForgotten } from './asked'
import { may, Problem } from './bits'
import { type Action, act } from './dialog'
import { command, count } from './format'
import { listQuery } from './runlist'
import type { RunHead } from './types'

// Picked are the runs that somebody ticked, or all that the filters name.
export type Picked = ReadonlySet<string> | 'all'

interface Verb {
  verb: 'cancel' | 'pause' | 'resume' | 'retry' | 'delete'
  name: string
  may: 'operate' | 'admin'
  can: (run: RunHead) => boolean
  reason?: boolean // it is asked for
  what: string
}

const ended = ({ state }: RunHead) => state === 'failed' || state === 'cancelled' || state === 'completed'

const open = ({ state }: RunHead) => state === 'running' || state === 'finishing'

const verbs: Verb[] = [
  { verb: 'cancel', name: 'Cancel', may: 'operate', can: (r) => !ended(r), reason: true, what: 'Each ends as cancelled: open steps are cancelled, workers are told to stop.' },
  { verb: 'pause', name: 'Pause', may: 'operate', can: (r) => open(r) && !r.paused, reason: true, what: 'No task of them is handed out, and no timer, timeout or retry of them comes, until they are resumed.' },
  { verb: 'resume', name: 'Resume', may: 'operate', can: (r) => open(r) && !!r.paused, reason: true, what: 'Their tasks are handed out again, and what is overdue comes at once.' },
  { verb: 'retry', name: 'Retry', may: 'operate', can: (r) => r.state === 'failed' || r.state === 'cancelled', reason: true, what: 'Each is opened again: what failed or was cancelled starts anew, completed steps are not run again.' },
  { verb: 'delete', name: 'Delete', may: 'admin', can: ended, what: 'They and their whole history are removed from the journal. This cannot be undone.' },
]

// never says that the list has no run to which it can be done.
const never = (v: Verb, query: URLSearchParams) => (v.verb === 'pause' && query.get('paused') === 'true') || (v.verb === 'resume' && query.get('paused') === 'false')

const atOnce = 4 // requests

// Bulk is what can be done with the runs that were picked. What is done to all that match, the daemon counts first.
export function Bulk({ runs, picked, all, query, pick }: { runs: RunHead[]; picked: Picked; all: boolean; query: URLSearchParams; pick: (p: Picked) => void }) {
  const [error, setError] = useState<unknown>()
  useForgotten(error, () => setError(undefined))
  const chosen = picked === 'all' ? runs : runs.filter((r) => picked.has(r.workflow_id))
  const offered = verbs.filter((v) => may(v.may) && (picked === 'all' ? !never(v, query) : chosen.some((r) => v.can(r))))
  const offer = async (v: Verb) => {
    setError(undefined)
    if (picked !== 'all') return act(toEach(v, chosen.filter((r) => v.can(r)).map((r) => r.workflow_id), () => pick(new Set())))
    try {
      act(await toAll(v, query, () => pick(new Set())))
    } catch (e) {
      setError(e)
    }
  }
  return (
    <div class="bar filters picked" role="group" aria-label="Chosen runs">
      <b>{picked === 'all' ? 'All runs that match' : count(chosen.length, 'run') + ' chosen'}</b>
      {offered.map((v) => (
        <button type="button" class="small" key={v.verb} onClick={() => void offer(v)}>
          {picked === 'all' ? v.name : `${v.name} ${chosen.filter((r) => v.can(r)).length.toLocaleString('en')}`}…
        </button>
      ))}
      {offered.length === 0 && <span class="dim">nothing can be done with them</span>}
      {picked !== 'all' && !all && chosen.length === runs.length && <button type="button" class="small quiet" onClick={() => pick('all')}>Choose all that match, not only those shown</button>}
      <button type="button" class="small quiet" onClick={() => pick(new Set())}>Choose none</button>
      <Problem error={error} />
    </div>
  )
}

const action = (v: Verb, n: number, one: string): Omit<Action, 'line' | 'send'> => ({
  title: `${v.name} ${count(n, 'run')}`,
  what: n === 0 ? 'No run that the filters name is in a state in which this can be done.' : v.what,
  button: `${v.name} ${n === 1 ? 'run' : 'all'}`,
  danger: v.verb === 'cancel' || v.verb === 'delete',
  ...(n > 100 || (v.verb === 'delete' && n > 1) ? { confirm: String(n) } : v.verb === 'delete' && one ? { confirm: one } : {}),
  ...(v.reason ? { fields: [{ name: 'reason', label: 'Reason', hint: 'kept in the history' }] } : {}),
})

const reasonOf = (f: Record<string, string>) => (f.reason ? ['--reason', f.reason] : [])

// Many is the answer to what is done to many runs.
type Many = { matched: number; done: number; refused?: number; refusals?: { workflow_id: string; code: string; detail: string }[] }
type Refused = { code: string; step: string; detail: string }

const refusedBy = (n: number, of: number, some: Refused[]) => new Failure(409, some[0]?.code ?? '', `${n} of ${count(of, 'run')} refused it`, '', some)

// toAll does it to every run that the filters name, after the daemon has said how many those are.
async function toAll(v: Verb, query: URLSearchParams, then: () => void): Promise<Action> {
  const q = listQuery(query, Date.now())
  q.delete('sort')
  const flags = [...q].flatMap(([k, value]) => (k === 'paused' ? ['--paused' + (value === 'true' ? '' : '=' + value)] : ['--' + k.replaceAll('_', '-'), value]))
  if (flags.length === 0 && v.verb === 'resume') flags.push('--paused')
  if ([...q].length === 0) q.set('all', 'true')
  const { value } = await ask<Many>(`/v1/runs/${v.verb}?${q}&dry_run=true`, { method: 'POST' })
  const known = value.refused ?? 0 // they would refuse it
  const would = action(v, value.matched - known, '')
  return {
    ...would,
    ...(known ? { what: `${would.what} ${known === 1 ? '1 run refuses' : count(known, 'run') + ' refuse'} it: ${value.refusals?.[0]?.detail ?? ''}` } : {}),
    line: (f) => command(v.verb, '--all', ...(flags.length ? flags : ['--yes']), ...reasonOf(f)),
    send: async (f) => {
      const { value: got } = await ask<Many>(`/v1/runs/${v.verb}?${q}`, { method: 'POST', body: f.reason ? { reason: f.reason } : {} })
      if (got.refused && got.refused > known) throw refusedBy(got.refused, got.matched, (got.refusals ?? []).map((r) => ({ code: r.code, step: r.workflow_id, detail: r.detail })))
      then()
    },
  }
}

// toEach does it to some runs, one by one. Whatever was refused is named.
const toEach = (v: Verb, ids: string[], then: () => void): Action => ({
  ...action(v, ids.length, ids[0] ?? ''),
  line: (f) => command(v.verb, ...ids, ...reasonOf(f)),
  send: async (f) => {
    const todo = [...ids]
    const refused: Refused[] = []
    const next = async () => {
      for (let id = todo.shift(); id !== undefined; id = todo.shift()) {
        const done = v.verb === 'delete' ? ask(runPath(id), { method: 'DELETE' }) : ask(`${runPath(id)}/${v.verb}`, v.reason ? { method: 'POST', body: f.reason ? { reason: f.reason } : {} } : { method: 'POST' })
        await done.catch((e: unknown) => refused.push({ code: e instanceof Failure ? e.code : '', step: id!, detail: String((e as Error).message) }))
      }
    }
    await Promise.all(Array.from({ length: atOnce }, next))
    if (refused.length) throw refusedBy(refused.length, ids.length, refused)
    then()
  },
})
