import { now, StateIcon } from './bits'
import { clock, count, span } from './format'
import type { RunEvent } from './types'

interface Attempt {
  n: number
  round: number // of a step that repeats, from 1
  from: string
  to?: string
  worker: string
  state: string
  text: string
}

// attemptsOf reads a step's attempts from the events up to a sequence.
export function attemptsOf(events: RunEvent[], step: string, until: number): Attempt[] {
  const out: Attempt[] = []
  let round = 1
  for (const e of events) {
    if (e.seq > until) break
    if (e.step !== step) continue
    const last = out[out.length - 1]
    const of = (e.attempt && out.findLast((a) => a.n === e.attempt)) || last // an attempt that counted as lost may answer late
    if (e.kind === 'AttemptStarted') {
      out.push({ n: e.attempt ?? out.length + 1, round, from: String(e.data?.started_at ?? e.at), worker: String(e.data?.worker ?? ''), state: 'running', text: 'running' })
    } else if (of && ends[e.kind] && (!of.to || (of.state === 'lost' && e.kind !== 'StepFailed'))) {
      of.to = e.at
      of.state = ends[e.kind]!
      of.text = e.data?.code ? String(e.data.code) : of.state
    }
    if (e.kind === 'RoundCompleted') round++
  }
  return out
}

// ends: what an event that ends an attempt made of it.
const ends: Record<string, string> = { AttemptFailed: 'failed', AttemptLost: 'lost', StepCompleted: 'completed', RoundCompleted: 'completed', StepFailed: 'failed', AttemptEnded: 'cancelled' }

// Attempts lists the last attempts of a step or of an item, as they were at a time, or now.
export function Attempts({ attempts, rounds, then }: { attempts: Attempt[]; rounds: boolean; then: string | undefined }) {
  if (attempts.length === 0) return null
  return (
    <section>
      <h3>{count(attempts.length, 'attempt')}</h3>
      <table class="small attempts">
        <tbody>
          {attempts.slice(-20).map((a) => (
            <tr>
              <td class="num">{a.n}</td>
              {rounds && <td class="dim">round {a.round}</td>}
              <td><StateIcon state={a.state} /> {a.text}</td>
              <td class="num">{clock(a.from)}</td>
              <td class="num right">{span((a.to ? Date.parse(a.to) : then ? Date.parse(then) : now.value) - Date.parse(a.from))}</td>
              <td class="dim" title={a.worker}>{a.worker}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  )
}
