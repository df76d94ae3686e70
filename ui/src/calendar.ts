import type { ScheduleDefinition, ScheduleRow } from './types'
import { count, span } from './format'

// outcomes are what may become of a due time, each with the state that its icon shows and the tone of its words. A test holds them to
// the daemon's.
export const outcomes: [outcome: string, name: string, icon: string, tone: string][] = [
  ['fired', 'fired', 'completed', 'ok'],
  ['caught_up', 'caught up', 'completed', 'ok'],
  ['skipped_overlap', 'skipped, overlap', 'skipped', 'wait'],
  ['buffered', 'buffered', 'waiting', 'wait'],
  ['missed', 'missed', 'timed_out', 'bad'],
  ['paused', 'paused', 'blocked', 'off'],
  ['excluded', 'excluded', 'skipped', 'off'],
  ['triggered', 'triggered', 'running', 'run'],
  ['backfilled', 'backfilled', 'running', 'run'],
  ['start_failed', 'start failed', 'failed', 'bad'],
]

const unknown = ['', '', 'pending', 'off'] as const

export const outcomeOf = (outcome: string) => outcomes.find(([o]) => o === outcome) ?? ([outcome, outcome, unknown[2], unknown[3]] as [string, string, string, string])

export interface Day {
  date: string // 2026-11-26
  of: [outcome: string, count: number][] // 0: a part of several days that one row tells of
  known: boolean // the rows of that day are all there
}

const day = 86_400_000
export const weeks = 5

const shift = (date: string, days: number) => new Date(Date.parse(date) + days * day).toISOString().slice(0, 10)

// calendar gives the days of some weeks, Mondays first, up to the week of today or of the newest row. rows are the newest first; all:
// no older ones follow.
export function calendar(rows: ScheduleRow[], today: string, all: boolean): Day[][] {
  const dates = rows.flatMap((r) => [r.local.slice(0, 10), (r.last_local ?? r.local).slice(0, 10)])
  const newest = [today, ...dates].reduce((a, b) => (a > b ? a : b))
  const oldest = all || dates.length === 0 ? '' : dates.reduce((a, b) => (a < b ? a : b))
  const monday = shift(newest, -((new Date(newest).getUTCDay() + 6) % 7))
  const from = shift(monday, -7 * (weeks - 1))
  const found = new Map<string, Map<string, number>>()
  const add = (date: string, outcome: string, n: number) => {
    const of = found.get(date) ?? new Map<string, number>()
    of.set(outcome, (of.get(outcome) ?? 0) + n)
    found.set(date, of)
  }
  for (const r of rows) {
    const first = r.local.slice(0, 10)
    add(first, r.outcome, r.count || 1)
    const last = (r.last_local ?? r.local).slice(0, 10)
    for (let d = first < from ? from : shift(first, 1); d <= last; d = shift(d, 1)) if (d > first) add(d, r.outcome, 0)
  }
  return Array.from({ length: weeks }, (_, w) =>
    Array.from({ length: 7 }, (_, d) => {
      const date = shift(from, 7 * w + d)
      return { date, of: [...(found.get(date) ?? [])], known: date > oldest }
    }),
  )
}

// dateIn is the date that the clocks of a zone show.
export function dateIn(zone: string, at: number): string {
  try {
    return new Intl.DateTimeFormat('sv-SE', { timeZone: zone }).format(at)
  } catch {
    return new Date(at).toISOString().slice(0, 10) // a zone that this browser does not know
  }
}

// localTime is a time with an offset, as people read it: 2026-11-27 02:30 +01:00.
export function localTime(text: string): string {
  return text.replace(/^(\d{4}-\d\d-\d\d)T(\d\d:\d\d)(?::00)?(:\d\d)?(?:\.\d+)?(Z|[+-]\d\d:\d\d)$/, (_, date, minute, second, zone) => `${date} ${minute}${second ?? ''} ${zone === 'Z' ? 'UTC' : zone}`)
}

// rule says when a schedule is due.
export function rule(d: ScheduleDefinition): string {
  const zone = d.time_zone ?? 'UTC'
  if (d.cron?.length) return `${d.cron.join(' or ')}, ${zone}`
  if (d.every_ms) return 'every ' + span(d.every_ms).replace('.0 s', ' s')
  return count(d.at?.length ?? 0, 'time')
}
