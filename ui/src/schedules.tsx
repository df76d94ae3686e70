import { get, part } from './api'
import { useHappened, usePolled } from './asked'
import { Ago, Command, Empty, Problem, StateIcon } from './bits'
import { localTime, outcomeOf, rule } from './calendar'
import { command, count, span } from './format'
import { change, link, place } from './route'
import { useRowKeys } from './rowkeys'
import type { Schedule, ScheduleRow, ScheduleTime } from './types'

const most = 1_000

// icons of a schedule's state.
const icons: Record<string, string> = { active: 'running', paused: 'blocked', ended: 'completed', deleted: 'cancelled' }

export function ScheduleState({ state }: { state: string }) {
  return <span class={'state t-' + (state === 'active' ? 'run' : state === 'paused' ? 'wait' : 'off')}><StateIcon state={icons[state] ?? ''} /> {state}</span>
}

export function Outcome({ row: r }: { row: ScheduleRow }) {
  const [, name, icon, tone] = outcomeOf(r.outcome)
  return (
    <span class={'outcome t-' + tone}>
      <StateIcon state={icon} /> {name}
      {r.count ? ' ×' + r.count.toLocaleString('en') : ''}
      {r.code && <span class="code">{r.code}</span>}
    </span>
  )
}

// failing is what a person should look into, of a schedule; empty: nothing.
export function failing(s: Schedule): string {
  if (s.state === 'deleted' || s.state === 'ended') return ''
  if (s.state === 'paused') return 'paused' + (s.paused?.by ? ' by ' + s.paused.by : '') + (s.paused?.note ? ': ' + s.paused.note : '')
  if (s.overdue_ms > 1_000) return `overdue for ${span(s.overdue_ms)}: the disk is full, or the daemon does not keep up`
  const l = s.last
  if (l && ['start_failed', 'missed', 'skipped_overlap'].includes(l.outcome)) return l.detail || outcomeOf(l.outcome)[1]
  return ''
}

export const Next = ({ time: t }: { time: ScheduleTime }) => (
  <><span class="num">{localTime(t.local)}</span> <span class="dim">{t.excluded ? 'excluded' : t.skipped ? 'skipped' : <Ago time={t.due_at} />}</span></>
)

export function Schedules() {
  const asked = usePolled('schedules', (s) => get<{ schedules: Schedule[]; next_cursor?: string }>(`/v1/schedules?limit=${most}`, s), 5_000)
  useHappened('Schedule', asked)
  const only = place.value.query.get('name') ?? ''
  const list = (asked.value?.schedules ?? []).filter((s) => (s.name + ' ' + s.definition.workflow).toLowerCase().includes(only.toLowerCase()))
  const { row } = useRowKeys(list.map((s) => s.name), (name) => link('schedule', name))
  return (
    <main class="scroll">
      <div class="bar">
        <h1>Schedules</h1>
        <input id="search" type="search" placeholder="Name or workflow  ( / )" aria-label="Name or workflow" value={only} onInput={(e) => change({ name: e.currentTarget.value, row: '' }, true)} />
      </div>
      <Problem error={asked.error} />
      {asked.value && list.length === 0 ? (
        <Empty>
          <h2>{only ? 'No schedule has that in its name or its workflow’s' : 'No schedules yet'}</h2>
          <p>A schedule starts a workflow by the clock. Write it into a file, and apply that:</p>
          {!only && <pre>{'# schedules.yaml\nschedules:\n  - name: nightly\n    workflow: etl\n    cron: ["0 2 * * *"]\n    time_zone: Europe/Berlin'}</pre>}
          <Command line={command('schedules', 'apply', 'schedules.yaml')} />
        </Empty>
      ) : (
        <section class="group">
          <table class="grid schedules">
            <thead><tr><th>Schedule</th><th>Workflow</th><th>Due</th><th>State</th><th>Next</th><th>Last</th><th class="right">Late by</th><th class="right">Missed in 7 days</th></tr></thead>
            <tbody>
              {list.map((s) => {
                const why = failing(s)
                return (
                  <tr key={s.name} class={s.name === row ? 'on' : ''}>
                    <td><a href={link('schedule', s.name)}>{s.name}</a></td>
                    <td><a href={link('workflow', s.definition.workflow)}>{s.definition.workflow}</a>{s.definition.version ? <span class="dim"> v{s.definition.version}</span> : null}</td>
                    <td class="num">{rule(s.definition)}</td>
                    <td><ScheduleState state={s.state} />{why && <div class={'why ' + (s.state === 'paused' ? 't-wait' : 't-bad')}>{why}</div>}</td>
                    <td>{s.next && s.state === 'active' ? <Next time={s.next} /> : <span class="dim">none</span>}</td>
                    <td>{s.last ? <Outcome row={s.last} /> : <span class="dim">none yet</span>}</td>
                    <td class="right num">{s.last?.started_at ? span(s.last.lag_ms) : ''}</td>
                    <td class={'right num' + (s.missed_7d ? ' t-bad' : '')}>{s.missed_7d.toLocaleString('en')}</td>
                  </tr>
                )
              })}
            </tbody>
          </table>
          {asked.value?.next_cursor && <p class="dim">These are the first {count(most, 'schedule')}: <code>{command('schedules')}</code> lists all.</p>}
        </section>
      )}
    </main>
  )
}

export const schedulePath = (name: string) => '/v1/schedules/' + part(name)
