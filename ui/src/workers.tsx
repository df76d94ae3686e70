import { get } from './api'
import { usePolled } from './asked'
import { Ago, Command, Empty, may, Problem, StateIcon } from './bits'
import { act, pauseService, resumeService } from './dialog'
import { command, count, span } from './format'
import { change, link, place } from './route'
import type { RunHead, Service, Worker } from './types'

interface Waiting {
  service: string
  detail: string
  runs: { id: string; step: string }[]
}

// Workers shows who serves which service and what they have in hand, and above it whatever waits for nobody.
export function Workers() {
  const only = place.value.query.get('service') ?? ''
  const workers = usePolled('workers', (s) => get<{ workers: Worker[] }>('/v1/workers', s))
  const pushes = usePolled('services', (s) => get<{ services: Service[] }>('/v1/services', s), 10_000)
  const waiting = usePolled('waiting', unserved, 10_000)
  const list = (workers.value?.workers ?? []).filter((w) => !only || w.service_name === only)
  const services = [...new Set(list.map((w) => w.service_name))].sort()
  const known = (pushes.value?.services ?? []).filter((s) => !only || s.name === only)
  const paused = known.filter((s) => s.paused)
  const pausable = (name: string) => may('operate') && !paused.some((s) => s.name === name)
  const missing = (waiting.value ?? []).filter((w) => !only || w.service === only)
  return (
    <main class="scroll">
      <div class="bar">
        <h1>Workers</h1>
        {only && <span>of service <b>{only}</b> · <a href={link('workers')} onClick={() => change({ service: '' })}>show all</a></span>}
      </div>
      <Problem error={workers.error} />
      {missing.map((m) => (
        <div class="notice bad" key={m.service}>
          <b><StateIcon state="quarantined" /> Steps wait, and nobody serves {m.service}</b>
          <p>{m.detail}</p>
          <p>
            {m.runs.slice(0, 5).map((r) => <><a href={link('run', r.id, '', { step: r.step })}>{r.id}</a> </>)}
            {m.runs.length > 5 && <span class="dim">and {m.runs.length - 5} more</span>}
          </p>
        </div>
      ))}
      {paused.map((s) => (
        <div class="notice" key={'paused ' + s.name}>
          <b><StateIcon state="waiting" /> Service {s.name} is paused</b>
          <p>{s.paused!.by} paused it <Ago time={s.paused!.at} />{s.paused!.reason ? ': ' + s.paused!.reason : ''}. Nobody gets a task of it.</p>
          {may('operate') && <p><button type="button" class="primary" onClick={() => act(resumeService(s.name))}>Resume service…</button></p>}
        </div>
      ))}
      {services.map((name) => {
        const mine = list.filter((w) => w.service_name === name)
        const busy = mine.reduce((n, w) => n + w.running.length, 0)
        const room = mine.reduce((n, w) => n + w.capacity, 0)
        return (
          <section class="group" key={name}>
            <h2>{name} <span class="dim">{count(mine.length, 'worker')}, {busy} of {room} places in use</span> {pausable(name) && <button type="button" class="quiet" onClick={() => act(pauseService(name))}>Pause service…</button>}</h2>
            <table class="grid">
              <thead><tr><th>Worker</th><th>Handlers</th><th class="right">In hand</th><th>What it works on</th><th class="right">Heard of</th><th class="right">Joined</th></tr></thead>
              <tbody>
                {mine.map((w) => <WorkerRow key={w.worker_id} worker={w} />)}
              </tbody>
            </table>
          </section>
        )
      })}
      {known.some((s) => s.kind === 'push') && (
        <section class="group">
          <h2>Push services <span class="dim">the daemon POSTs each task to them</span></h2>
          <table class="grid">
            <thead><tr><th>Service</th><th>Address</th><th>Handlers</th><th class="right">Capacity</th><th class="right">Time-out</th></tr></thead>
            <tbody>
              {known.filter((s) => s.kind === 'push').map((s) => (
                <tr key={s.name}><td>{s.name}</td><td class="id">{s.url}</td><td>{s.handlers.join(', ')}</td><td class="right num">{s.capacity || 10}</td><td class="right num">{span(s.timeout_ms || 60_000)}</td></tr>
              ))}
            </tbody>
          </table>
        </section>
      )}
      {workers.value && list.length === 0 && (
        <Empty>
          <h2>{only ? `No worker of ${only}` : 'No workers'}</h2>
          <p>A worker is a program of yours that runs handlers. It joins by itself when it knows the daemon’s address:</p>
          <Command line={`AGNT5_URL=${location.origin} python3 worker.py`} />
          <p>At a shell:</p>
          <Command line={command('workers')} />
        </Empty>
      )}
    </main>
  )
}

function WorkerRow({ worker: w }: { worker: Worker }) {
  return (
    <tr>
      <td class="id">{w.worker_id}{w.service_version && <span class="dim"> {w.service_version}</span>}{w.push && <span class="badge">push</span>}</td>
      <td>{w.handlers.join(', ')}</td>
      <td class="right num">{w.running.length}/{w.capacity}</td>
      <td>
        {w.running.slice(0, 6).map((t) => (
          <div>
            <a href={link('run', t.workflow_id, '', { step: t.step })}>{t.workflow_id}</a> {t.step} <span class="dim">attempt {t.attempt}, <Ago time={t.since} />{t.cancelled ? ', cancelled' : ''}</span>
          </div>
        ))}
        {w.running.length > 6 && <span class="dim">and {w.running.length - 6} more</span>}
      </td>
      <td class={'right num ' + (w.silent_ms > 15_000 ? 't-bad' : '')}>{w.silent_ms < 1_000 ? 'now' : span(w.silent_ms) + ' ago'}</td>
      <td class="right num"><Ago time={w.joined_at} /></td>
    </tr>
  )
}

// unserved finds what waits for a worker among the newest open runs.
async function unserved(signal: AbortSignal): Promise<Waiting[]> {
  const { runs } = await get<{ runs: RunHead[] }>('/v1/runs?state=running&include=reason&limit=100', signal)
  const found = new Map<string, Waiting>()
  for (const { workflow_id: id, reason } of runs) {
    if (reason?.code !== 'no_worker') continue
    const service = /serves ([^/ ]+)\//.exec(reason.detail)?.[1] ?? ''
    const known = found.get(service) ?? { service, detail: reason.detail, runs: [] }
    known.runs.push({ id, step: reason.step ?? '' })
    found.set(service, known)
  }
  return [...found.values()]
}
