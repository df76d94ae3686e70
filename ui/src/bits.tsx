import { signal } from '@preact/signals'
import type { ComponentChildren, RefObject } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import { Failure } from './api'
import { ago, dateTime } from './format'
import { link } from './route'
import type { Step } from './types'

const mode = document.querySelector('meta[name="agnt5d-page"]')?.getAttribute('content')

export const readOnly = mode === 'read-only' || mode === 'file'
export const ofFile = mode === 'file' // a journal that no daemon holds

// now ticks once a second, for "3 s ago". In a file it stands at the time when that was written last.
export const now = signal(Date.now())
if (!ofFile) setInterval(() => (now.value = Date.now()), 1_000)

// file is the journal that is shown, when no daemon holds it.
export const file = signal<{ name: string; asOf: string } | undefined>(undefined)

// scopes of the access token; undefined: none is asked for, everything is allowed.
export const scopes = signal<string[] | undefined>(undefined)

// holds says whether the access token has a scope: what that lets one see is shown, on a read-only page, too.
export function holds(scope: 'operate' | 'admin'): boolean {
  const have = scopes.value
  return !have || have.includes('admin') || have.includes(scope)
}

// may says whether an action that needs a scope is offered.
export const may = (scope: 'operate' | 'admin') => !readOnly && holds(scope)

// tones groups states by what they mean to a reader: a colour each.
const tones: Record<string, string> = {
  completed: 'ok',
  running: 'run',
  finishing: 'run',
  failed: 'bad',
  lost: 'bad',
  quarantined: 'bad',
  waiting: 'wait',
  retrying: 'wait',
  deferred: 'wait',
  blocked: 'wait',
  timed_out: 'wait', // what its on_timeout names goes on
  scheduled: 'queue',
}

export const tone = (state: string) => tones[state] ?? 'off'

// names that say more than the state's own.
const names: Record<string, string> = { scheduled: 'queued', timed_out: 'timed out', dormant: 'dormant' }

export const stateName = (state: string) => names[state] ?? state

// shapes: each state has a shape of its own, so that colour is never all that tells them apart. They are drawn in 12 by 12.
const shapes: Record<string, string> = {
  completed: 'M2.5 6.5 5 9l4.5-6',
  failed: 'M3 3l6 6M9 3l-6 6',
  lost: 'M1.5 6h3M7.5 6h3M4.5 3.5v5M7.5 3.5v5',
  condition: 'M6 1 11 6 6 11 1 6z',
  timed_out: 'M6 2.5V6l2.5 2M6 1a5 5 0 1 0 .01 0',
  quarantined: 'M6 1.5 11 10.5H1zM6 5v2.5M6 9v.2',
  running: 'M4 2.5 9.5 6 4 9.5z',
  finishing: 'M2.5 2.5 6.5 6 2.5 9.5zM9 2.5v7',
  scheduled: 'M2 3h8M2 6h8M2 9h5',
  waiting: 'M6 3.5V6l2 1.5M6 1a5 5 0 1 0 .01 0',
  retrying: 'M9.5 4.5A4 4 0 1 0 10 7M10 2v3H7',
  deferred: 'M9.5 4.5A4 4 0 1 0 10 7M10 2v3H7',
  blocked: 'M3 5.5h6v5H3zM4.2 5.5V4a1.8 1.8 0 0 1 3.6 0v1.5',
  cancelled: 'M6 1a5 5 0 1 0 .01 0M3.5 6h5',
  skipped: 'M2 6h8',
  pending: 'M6 3.5a2.5 2.5 0 1 0 .01 0',
  dormant: 'M6 3.5a2.5 2.5 0 1 0 .01 0',
}

// stepStates are those of steps, the ones that somebody may look for first.
export const stepStates = ['failed', 'blocked', 'running', 'retrying', 'deferred', 'waiting', 'scheduled', 'pending', 'dormant', 'cancelled', 'timed_out', 'completed', 'skipped']

// done says that a step needs nothing more, as it was meant to; settled, that what follows it may go on.
export const done = (state: string | undefined) => state === 'completed' || state === 'skipped' || state === 'timed_out'
export const settled = (step: Step | undefined) => done(step?.state) || !!step?.caught

export const shape = (state: string) => shapes[state] ?? shapes.pending!

export function StateIcon({ state }: { state: string }) {
  return (
    <svg class={'icon t-' + tone(state)} viewBox="0 0 12 12" width="12" height="12" aria-hidden="true">
      <path d={shape(state)} class={state === 'running' ? 'solid' : ''} />
    </svg>
  )
}

export function State({ state }: { state: string }) {
  return (
    <span class={'state t-' + tone(state)}>
      <StateIcon state={state} />
      {stateName(state)}
    </span>
  )
}

// Tags are the tags of a run: each leads to the runs that have it.
export function Tags({ tags }: { tags: Record<string, string> | undefined }) {
  return <>{Object.entries(tags ?? {}).map(([name, value]) => <a class="tag" href={link('runs', '', '', { tag: `${name}:${value}` })}>{name}={value}</a>)}</>
}

// Ago is a time as seen from another one: now, unless at says which.
export function Ago({ time, at }: { time: string; at?: string | undefined }) {
  return (
    <time dateTime={time} title={dateTime(time)}>
      {ago(time, at ? Date.parse(at) : now.value)}
    </time>
  )
}

export function Copy({ text, label = 'Copy' }: { text: string; label?: string }) {
  const [done, setDone] = useState(false)
  useEffect(() => {
    if (!done) return
    const t = setTimeout(() => setDone(false), 1_500)
    return () => clearTimeout(t)
  }, [done])
  return (
    <button type="button" class="small quiet" title={'Copy: ' + text} onClick={() => void copy(text).then(() => setDone(true))}>
      {done ? 'Copied' : label}
    </button>
  )
}

async function copy(text: string) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text)
  const area = document.createElement('textarea') // plain HTTP from another machine has no clipboard
  area.value = text
  document.body.append(area)
  area.select()
  document.execCommand('copy')
  area.remove()
}

export function Command({ line }: { line: string }) {
  return (
    <div class="command">
      <code>{line}</code>
      <Copy text={line} />
    </div>
  )
}

export function Problem({ error }: { error: unknown }) {
  if (!error) return null
  const f = error instanceof Failure ? error : undefined
  return (
    <div class="notice bad" role="alert">
      <b>{f ? f.message : String((error as Error).message ?? error)}</b>
      {' '}
      {f?.code && <span class="code">{f.code}</span>}
      {f?.help && <p>{f.help}</p>}
      {f && f.errors.length > 0 && (
        <ul>
          {f.errors.slice(0, 20).map((e) => (
            <li>
              {e.step && <code>{e.step}</code>} {e.detail}
            </li>
          ))}
        </ul>
      )}
    </div>
  )
}

export function Empty({ children }: { children: ComponentChildren }) {
  return <div class="empty">{children}</div>
}

// useInView scrolls a list of equal rows to the one that was chosen, when that is out of view.
export function useInView(box: RefObject<HTMLElement | null>, row: number, height: number) {
  useEffect(() => {
    const el = box.current
    if (!el || row < 0) return
    if (row * height < el.scrollTop) el.scrollTop = row * height
    else if ((row + 1) * height > el.scrollTop + el.clientHeight) el.scrollTop = (row + 1) * height - el.clientHeight
  }, [row])
}
