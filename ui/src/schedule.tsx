import { useRef, useState } from 'preact/hooks'
import { ask, get } from './api'
import { useHappened, usePolled } from './asked'
import { Ago, Copy, Empty, may, now, Problem, StateIcon } from './bits'
import { calendar, dateIn, type Day, localTime, outcomeOf, outcomes, rule, weeks } from './calendar'
import { type Action, act } from './dialog'
import { command, count, dateTime, localTimes, span, words } from './format'
import { Payload } from './payload'
import { change, go, link, place } from './route'
import { Next, Outcome, schedulePath, ScheduleState } from './schedules'
import type { Schedule, ScheduleReason, ScheduleRow, ScheduleTime } from './types'

const pageSize = 100 // rows of the ledger
const calendarPages = 3 // of 1,000 rows each

const post = (name: string, verb: string, body: unknown) => ask<ScheduleRow>(`${schedulePath(name)}/${verb}`, { method: 'POST', body })

const pause = (name: string, then: () => void): Action => ({
  title: 'Pause ' + name,
  what: 'Its due times start no run until it is resumed; the ledger says of each that it was paused. Runs that have begun go on.',
  button: 'Pause schedule',
  fields: [{ name: 'note', label: 'Note', hint: 'for those who look later' }],
  line: (f) => command('schedules', 'pause', name, ...(f.note ? ['--note', f.note] : [])),
  send: (f) => post(name, 'pause', f.note ? { note: f.note } : {}).then(then),
})

const resume = (name: string, catchUp: boolean, then: () => void): Action => ({
  title: `Resume ${name}${catchUp ? ' and catch up' : ''}`,
  what: catchUp
    ? 'It goes on, and the newest of the times that the pause took are started now, as many as its catch_up allows.'
    : 'It goes on from now. The times that the pause took start no run; a backfill makes up for them.',
  button: 'Resume schedule',
  line: () => command('schedules', 'resume', name, ...(catchUp ? ['--catch-up'] : [])),
  send: () => post(name, 'resume', { catch_up: catchUp }).then(then),
})

const trigger = (s: Schedule, then: () => void): Action => ({
  title: 'Trigger ' + s.name,
  what: `A run of ${s.definition.workflow} starts now, beside the due times, which stay as they are. While another run of the schedule goes on, its overlap (${s.definition.overlap ?? 'skip'}) decides.`,
  button: 'Trigger now',
  fields: [{ name: 'input', label: 'Input', hint: 'JSON; empty: that of the schedule', json: true }],
  line: (f) => command('schedules', 'trigger', s.name, ...(f.input?.trim() ? ['--input', f.input.trim()] : [])),
  send: async (f) => {
    const text = f.input?.trim()
    const { value } = await ask<ScheduleRow>(schedulePath(s.name) + '/trigger', { method: 'POST', text: text ? `{"input":${text}}` : '{}' })
    if (value.run_id) go(link('run', value.run_id))
    else then()
  },
})

const remove = (name: string): Action => ({
  title: 'Delete ' + name,
  what: 'It starts no more runs. Those that have begun go on, and its ledger is kept for a while.',
  button: 'Delete schedule',
  danger: true,
  confirm: name,
  line: () => command('schedules', 'delete', name),
  send: async () => {
    await ask(schedulePath(name), { method: 'DELETE' })
    go(link('schedules'))
  },
})

export function OneSchedule() {
  const { id: name, query } = place.value
  const asked = usePolled(name, (s) => get<Schedule>(schedulePath(name), s), 5_000)
  const why = usePolled('why ' + name, (s) => get<{ reasons: ScheduleReason[] }>(schedulePath(name) + '/explain', s), 5_000)
  useHappened('Schedule', asked)
  useHappened('Schedule', why)
  const s = asked.value
  const again = () => {
    asked.again()
    why.again()
  }
  if (!s) return <main><div class="bar"><h1><a href={link('schedules')}>Schedules</a> / {name}</h1></div><Problem error={asked.error} /></main>
  const open = s.state !== 'deleted'
  const filling = query.get('fill') === 'yes'
  return (
    <main class="scroll">
      <div class="bar run-head">
        <h1><a href={link('schedules')}>Schedules</a> <span class="dim">/</span> <span class="id">{s.name}</span></h1>
        <ScheduleState state={s.state} />
        <span>starts <a href={link('workflow', s.definition.workflow)}>{s.definition.workflow}</a>{s.definition.version ? <span class="dim"> v{s.definition.version}</span> : null}</span>
        <span class="num">{rule(s.definition)}</span>
        <a href={link('runs', '', '', { id_prefix: s.name + '-', workflow: s.definition.workflow })}>its runs</a>
        <span class="grow" />
        {open && s.state === 'active' && may('admin') && <button type="button" onClick={() => act(pause(name, again))}>Pause…</button>}
        {open && s.state === 'paused' && may('admin') && <button type="button" onClick={() => act(resume(name, true, again))}>Resume and catch up…</button>}
        {open && may('operate') && <button type="button" aria-expanded={filling} onClick={() => change({ fill: filling ? '' : 'yes' })}>Backfill…</button>}
        {open && may('admin') && <button type="button" onClick={() => act(remove(name))}>Delete…</button>}
        {open && may('operate') && <button type="button" class="primary" onClick={() => act(trigger(s, again))}>Trigger…</button>}
      </div>
      <Problem error={asked.error} />
      <Reasons s={s} reasons={why.value?.reasons ?? []} again={again} />
      {filling && open && may('operate') && <Fill s={s} again={again} />}
      {s.backfill && (
        <div class="notice" role="status">
          A backfill from {dateTime(s.backfill.from)} to {dateTime(s.backfill.to)} is under way, by {s.backfill.by || 'somebody'}: {count(s.backfill.started, 'run')} started, {s.backfill.exists} were there, {s.backfill.failed} failed. It has come to {dateTime(s.backfill.at)}.
        </div>
      )}
      <div class="halves">
        <Times name={name} s={s} />
        <section class="group">
          <h2>Facts</h2>
          <dl class="settings">
            <dt>Overlap</dt><dd>{s.definition.overlap ?? 'skip'}</dd>
            <dt>Runs started</dt><dd class="num">{s.runs.toLocaleString('en')}</dd>
            <dt>Runs in flight</dt><dd>{s.running.length === 0 ? <span class="dim">none</span> : s.running.slice(0, 5).map((r) => <div><a href={link('run', r)}>{r}</a></div>)}{s.running.length > 5 && <span class="dim">and {s.running.length - 5} more</span>}</dd>
            {s.waiting > 0 && <><dt>Times that wait</dt><dd>{s.waiting}</dd></>}
            <dt>Missed in 7 days</dt><dd class={s.missed_7d ? 't-bad' : ''}>{s.missed_7d.toLocaleString('en')}</dd>
            <dt>Revision</dt><dd>{s.revision} <span class="dim">owned by {s.owner}; changed {dateTime(s.changed_at)}{s.changed_by && ' by ' + s.changed_by}</span></dd>
            {s.definition.note && <><dt>Note</dt><dd>{s.definition.note}</dd></>}
          </dl>
        </section>
      </div>
      <Calendar name={name} zone={s.definition.time_zone ?? 'UTC'} />
      <Ledger key={name} name={name} />
      <section class="group"><Payload name="Definition" value={s.definition} /></section>
    </main>
  )
}

// Reasons is the banner: why the schedule does not fire, or did not, with a button for each that has one.
function Reasons({ s, reasons, again }: { s: Schedule; reasons: ScheduleReason[]; again: () => void }) {
  if (reasons.length === 0) return null
  return (
    <section class="banner wait" aria-label="Why it does not fire">
      <h2>Why it does not fire, or did not</h2>
      <ul>
        {reasons.map((r) => {
          const line = r.help && command(...words(r.help).slice(1))
          return (
            <li key={r.code} data-code={r.code}>
              <span class="label"><StateIcon state={r.code === 'paused' ? 'blocked' : /failed|missed|not_found|overdue/.test(r.code) ? 'quarantined' : 'waiting'} /> {r.code.replaceAll('_', ' ')}</span>
              <span class="text">{localTimes(r.detail)}</span>
              <span class="buttons">
                <Remedy s={s} reason={r} again={again} />
                {line && <Copy text={line} label="CLI" />}
              </span>
            </li>
          )
        })}
      </ul>
    </section>
  )
}

function Remedy({ s, reason: r, again }: { s: Schedule; reason: ScheduleReason; again: () => void }) {
  switch (r.code) {
    case 'paused':
      return may('admin') ? <button type="button" class="primary" onClick={() => act(resume(s.name, false, again))}>Resume</button> : null
    case 'workflow_not_found':
      return <button type="button" onClick={() => go(link('workflows'))}>Show workflows</button>
    case 'waits_for_run':
      return s.running[0] ? <button type="button" onClick={() => go(link('run', s.running[0]))}>Open run {s.running[0]}</button> : null
    case 'overdue':
      return <button type="button" onClick={() => go(link('daemon'))}>Show the daemon</button>
  }
  const outcome = /^last_(.+)$/.exec(r.code)?.[1]
  return outcome ? <button type="button" onClick={() => change({ outcome })}>Show such times</button> : null
}

// Fill asks for a period, and has the daemon count its times before anything starts.
function Fill({ s, again }: { s: Schedule; again: () => void }) {
  const [error, setError] = useState<unknown>()
  const [from, setFrom] = useState('')
  const [to, setTo] = useState('')
  const [overlap, setOverlap] = useState('')
  const offer = async (e: Event) => {
    e.preventDefault()
    setError(undefined)
    try {
      const body = { from: new Date(from).toISOString(), to: to ? new Date(to).toISOString() : new Date(now.value).toISOString(), ...(overlap && { overlap }) }
      const { value: plan } = await ask<{ times: number; listed?: { exists?: boolean }[] }>(schedulePath(s.name) + '/backfill', { method: 'POST', body: { ...body, dry_run: true } })
      const there = plan.listed?.filter((t) => t.exists).length ?? 0
      act({
        title: `Backfill ${count(plan.times, 'time')}`,
        what: plan.times === 0 ? 'The schedule has no due time in that period.' : `A run of ${s.definition.workflow} starts for each time of the period${there ? `; ${there} have theirs already` : ''}. ${overlap === 'allow' ? 'Ten run at once.' : 'One runs after the other.'}`,
        button: 'Start them',
        ...(plan.times > 100 ? { confirm: String(plan.times) } : {}),
        line: () => command('schedules', 'backfill', s.name, '--from', body.from, '--to', body.to, ...(overlap ? ['--overlap', overlap] : [])),
        send: async () => {
          await post(s.name, 'backfill', body)
          change({ fill: '' })
          again()
        },
      })
    } catch (failure) {
      setError(failure)
    }
  }
  return (
    <form class="bar filters" aria-label="Backfill" onSubmit={offer}>
      <label>From <input type="datetime-local" required value={from} onInput={(e) => setFrom(e.currentTarget.value)} /></label>
      <label>to <input type="datetime-local" value={to} onInput={(e) => setTo(e.currentTarget.value)} /></label>
      <span class="dim">your time; empty: until now</span>
      <select aria-label="How they run" value={overlap} onChange={(e) => setOverlap(e.currentTarget.value)}>
        <option value="">one after the other</option>
        <option value="allow">ten at once</option>
      </select>
      <button type="submit">Count the times</button>
      <Problem error={error} />
    </form>
  )
}

function Times({ name, s }: { name: string; s: Schedule }) {
  const asked = usePolled(`${name} ${s.revision} ${s.next?.due_at}`, (signal) => get<{ times: ScheduleTime[] }>(schedulePath(name) + '/next?n=5', signal), 60_000)
  return (
    <section class="group">
      <h2>Next times {s.state === 'paused' && <span class="dim">they start nothing while it is paused</span>}</h2>
      <Problem error={asked.error} />
      {asked.value?.times.length === 0 ? <p class="dim">There are none.</p> : (
        <table class="grid">
          <tbody>
            {asked.value?.times.map((t) => <tr key={t.nominal_at}><td><Next time={t} /></td><td class="t-wait">{t.note}</td></tr>)}
          </tbody>
        </table>
      )}
    </section>
  )
}

interface Rows {
  rows: ScheduleRow[]
  next_cursor?: string
}

async function ledger(name: string, query: Record<string, string>, want: number, limit: number, signal: AbortSignal): Promise<Rows> {
  let out: Rows = { rows: [] }
  do {
    const q = new URLSearchParams({ ...query, limit: String(Math.min(limit, want - out.rows.length)) })
    if (out.next_cursor) q.set('cursor', out.next_cursor)
    const page = await get<Rows>(`${schedulePath(name)}/ledger?${q}`, signal)
    out = { ...page, rows: out.rows.concat(page.rows) }
  } while (out.next_cursor && out.rows.length < want)
  return out
}

const names = ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun']

function Calendar({ name, zone }: { name: string; zone: string }) {
  const since = new Date(now.value - (weeks + 1) * 7 * 86_400_000).toISOString().slice(0, 10) + 'T00:00:00Z'
  const asked = usePolled('calendar ' + name, (s) => ledger(name, { since }, 1_000 * calendarPages, 1_000, s), 60_000)
  useHappened('Schedule', asked)
  if (!asked.value || asked.value.rows.length === 0) return null
  const today = dateIn(zone, now.value)
  const rows = calendar(asked.value.rows, today, !asked.value.next_cursor)
  return (
    <section class="group">
      <h2>What became of them <span class="dim">day by day, as the clocks of {zone} show it</span></h2>
      <table class="calendar">
        <thead><tr>{names.map((n) => <th>{n}</th>)}</tr></thead>
        <tbody>
          {rows.map((week) => <tr key={week[0]!.date}>{week.map((d) => <DayCell day={d} today={today} />)}</tr>)}
        </tbody>
      </table>
    </section>
  )
}

function DayCell({ day: d, today }: { day: Day; today: string }) {
  return (
    <td class={d.date === today ? 'on' : ''}>
      <time dateTime={d.date} class="dim">{d.date.slice(5)}</time>
      {d.of.map(([outcome, n]) => {
        const [, text, icon, tone] = outcomeOf(outcome)
        return <div class={'t-' + tone}><StateIcon state={icon} /> {n ? n.toLocaleString('en') + ' ' : ''}{text}</div>
      })}
      {!d.known && <div class="dim">not all are shown</div>}
    </td>
  )
}

function Ledger({ name }: { name: string }) {
  const outcome = place.value.query.get('outcome') ?? ''
  const [want, setWant] = useState(pageSize)
  const asked = usePolled(`ledger ${name} ${outcome} ${want}`, (s) => ledger(name, outcome ? { outcome } : {}, want, 1_000, s), 15_000)
  const kept = useRef<Rows | undefined>(undefined)
  if (asked.value) kept.current = asked.value
  useHappened('Schedule', asked)
  const value = asked.value ?? kept.current // while others are asked for
  return (
    <section class="group">
      <h2>
        Ledger <span class="dim">a row for each due time, the newest first</span>{' '}
        <select aria-label="Outcome" value={outcome} onChange={(e) => change({ outcome: e.currentTarget.value })}>
          <option value="">every outcome</option>
          {outcomes.map(([o, text]) => <option value={o}>{text}</option>)}
        </select>
      </h2>
      <Problem error={asked.error} />
      {value && value.rows.length === 0 ? <Empty>{outcome ? 'No due time has this outcome.' : 'No due time has passed yet.'}</Empty> : (
        <table class="grid">
          <thead><tr><th>Due</th><th>Outcome</th><th class="right">Late by</th><th>Run</th><th>Detail</th><th>Decided</th></tr></thead>
          <tbody>
            {value?.rows.map((r) => (
              <tr key={r.nominal_at + r.outcome + (r.run_id ?? '')}>
                <td class="num">{localTime(r.local)}{r.last_local && <> … {localTime(r.last_local)}</>}</td>
                <td><Outcome row={r} /></td>
                <td class="right num">{r.started_at ? span(r.lag_ms) : ''}</td>
                <td>{r.run_id && <a class="id" href={link('run', r.run_id)}>{r.run_id}</a>}</td>
                <td>{[r.detail, r.note, r.by && 'by ' + r.by].filter(Boolean).join('; ')}</td>
                <td><Ago time={r.decided_at} /></td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {value?.next_cursor && <p><button type="button" onClick={() => setWant(want + 5 * pageSize)}>Show more</button></p>}
    </section>
  )
}
