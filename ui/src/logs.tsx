import { useEffect } from 'preact/hooks'
import { get, part, runPath } from './api'
import { usePolled } from './asked'
import { Problem } from './bits'
import { bytes, count } from './format'
import type { AttemptLog } from './types'

const mostPages = 20

async function read(path: string, signal: AbortSignal): Promise<AttemptLog[]> {
  let all: AttemptLog[] = []
  let cursor = ''
  for (let i = 0; i < mostPages; i++) {
    const page = await get<{ logs: AttemptLog[]; next_cursor?: string }>(path + (cursor && '?cursor=' + part(cursor)), signal)
    all = all.concat(page.logs)
    if (!page.next_cursor) break
    cursor = page.next_cursor
  }
  return all
}

// until gives the lines of a log that were written up to a time. A line that has no time belongs to the one before it.
export function until(text: string, at: string | undefined): string {
  if (!at) return text
  const lines = text.split('\n')
  const later = lines.findIndex((line) => {
    const time = Date.parse(/^\S+/.exec(line)?.[0] ?? '')
    return time > Date.parse(at)
  })
  return later < 0 ? text : lines.slice(0, later).join('\n')
}

// Logs is what the attempts of a step wrote: the newest first, as they grow, or as they were at a time.
export function Logs({ run, step, about, running, at }: { run: string; step: string; about: string; running: boolean; at: string | undefined }) {
  const asked = usePolled(`${run}\n${step}`, (s) => read(`${runPath(run)}/steps/${part(step)}/logs`, s), running && !at ? 2_000 : 3_600_000)
  useEffect(() => {
    if (asked.value) asked.again() // it ended, or began anew
  }, [about])
  const all = (asked.value ?? []).map((l) => ({ ...l, shown: until(l.text, at) })).filter((l) => l.shown)
  if (asked.error && !asked.value) return <section><h3>Log</h3><Problem error={asked.error} /></section>
  if (all.length === 0) return null
  const total = all.reduce((n, l) => n + l.to, 0)
  return (
    <section class="logs">
      <h3>Log <span class="dim">{bytes(total)}{all.length > 1 && `, ${count(all.length, 'attempt')}`}</span></h3>
      {[...all].reverse().slice(0, 20).map((l, i) => (
        <details key={l.attempt} open={i === 0}>
          <summary>attempt {l.attempt} <span class="dim">{bytes(l.to)}{l.from > 0 && `, without the first ${bytes(l.from)}`}</span></summary>
          <pre tabIndex={0}>{l.shown}</pre>
        </details>
      ))}
    </section>
  )
}
