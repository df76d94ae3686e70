import { ask, failureOf, get, part, send } from './api'
import { useAsked, usePolled } from './asked'
import { Command, holds, may, now, Problem, StateIcon } from './bits'
import { type Action, act } from './dialog'
import { bytes, command, dateTime, span } from './format'
import { link } from './route'
import type { Readiness, VersionInfo } from './types'

export interface Token {
  name: string
  scope: string
  created_at: string
  last_used?: string
  expires_at?: string
  revoked_at?: string
}

// worth is what a token is worth at a time, in words, and the tone of that.
export function worth(t: Token, at: number): [text: string, tone: string] {
  if (t.revoked_at) return ['revoked ' + dateTime(t.revoked_at), 'bad']
  if (t.expires_at && Date.parse(t.expires_at) <= at) return ['expired ' + dateTime(t.expires_at), 'bad']
  return [t.expires_at ? 'valid until ' + dateTime(t.expires_at) : 'valid', 'ok']
}

const revoke = (name: string, then: () => void): Action => ({
  title: 'Revoke ' + name,
  what: 'The token is worthless at once: requests with it are refused, its open streams and polls end. This cannot be undone.',
  button: 'Revoke token',
  danger: true,
  confirm: name,
  line: () => command('token', 'revoke', name),
  send: async () => {
    await ask('/v1/tokens/' + part(name), { method: 'DELETE' })
    then()
  },
})

// Daemon shows whether all is well, and the figures that somebody looks for first.
export function Daemon() {
  const ready = usePolled('ready', readiness, 3_000)
  const version = usePolled('version', (s) => get<VersionInfo & { commit?: string }>('/version', s), 30_000)
  const figures = usePolled('metrics', metrics, 5_000)
  const tokens = usePolled(holds('admin') ? 'tokens' : '', (s) => get<{ tokens: Token[] }>('/v1/tokens', s), 30_000)
  const settings = useAsked(holds('admin') ? 'settings' : '', (s) => get<{ settings: Record<string, string> }>('/v1/settings', s))
  const m = figures.value
  const one = (name: string) => m?.get(name)?.[0]?.value
  return (
    <main class="scroll">
      <div class="bar"><h1>Daemon</h1></div>
      {ready.value && (
        <section class="group">
          <h2 class={ready.value.ready ? 't-ok' : 't-bad'}><StateIcon state={ready.value.ready ? 'completed' : 'failed'} /> {ready.value.ready ? 'Ready: requests are worth sending' : 'Not ready'}</h2>
          {ready.value.reasons.map((r) => (
            <div class={'notice ' + (ready.value!.ready ? '' : 'bad')} key={r.code}>
              <b>{r.detail}</b> <span class="code">{r.code}</span>
              {r.code === 'damage' && <p><a href={link('runs', '', '', { state: 'quarantined' })}>Show the quarantined runs</a></p>}
            </div>
          ))}
        </section>
      )}
      <Problem error={ready.error} />
      <section class="group cards">
        <Card name="Open runs" value={sum(m, 'agnt5_runs_open')} />
        <Card name="Of them stuck" value={sum(m, 'agnt5_runs_stuck')} />
        <Card name="Steps that wait for a worker" value={sum(m, 'agnt5_steps_waiting_for_worker')} />
        <Card name="Workers" value={sum(m, 'agnt5_workers')} />
        <Card name="Journal" value={text(one('agnt5_journal_bytes'), bytes)} />
        <Card name="Free on its disk" value={text(one('agnt5_disk_free_bytes'), bytes)} />
        <Card name="Commit, mean" value={mean(m, 'agnt5_commit_seconds')} />
        <Card name="Damaged records" value={sum(m, 'agnt5_damages')} />
        <Card name="Last backup" value={text(one('agnt5_last_backup_timestamp_seconds'), (t) => (t ? moment(t) : 'none yet'))} />
        <Card name="Running since" value={text(one('process_start_time_seconds'), moment)} />
        <Card name="Memory" value={text(one('process_resident_memory_bytes'), bytes)} />
      </section>
      {version.value && (
        <section class="group">
          <h2>Build</h2>
          <dl>
            <dt>Release</dt><dd>{version.value.version}{version.value.commit && version.value.commit !== 'unknown' && <span class="dim"> {version.value.commit}</span>}</dd>
            <dt>Format</dt><dd>{version.value.format} <span class="dim">of the journal</span></dd>
            <dt>Go</dt><dd>{version.value.go}</dd>
            <dt>Last event</dt><dd class="num">{version.value.durable}</dd>
          </dl>
        </section>
      )}
      {tokens.value && tokens.value.tokens.length > 0 && (
        <section class="group">
          <h2>Access tokens</h2>
          <table class="grid">
            <thead><tr><th>Name</th><th>Scope</th><th>Made</th><th>Last used</th><th>State</th>{may('admin') && <th><span class="unseen">Action</span></th>}</tr></thead>
            <tbody>
              {tokens.value.tokens.map((t) => {
                const [text, tone] = worth(t, now.value)
                return (
                  <tr key={t.name + t.created_at} class={tone === 'bad' ? 'over' : ''}>
                    <td>{t.name}</td><td>{t.scope}</td><td>{t.created_at && dateTime(t.created_at)}</td><td>{t.last_used ?? <span class="dim">never</span>}</td>
                    <td><span class={'t-' + tone}><StateIcon state={tone === 'bad' ? 'failed' : 'completed'} /> {text}</span></td>
                    {may('admin') && <td class="right">{tone === 'ok' && <button type="button" class="small" onClick={() => act(revoke(t.name, tokens.again))}>Revoke…</button>}</td>}
                  </tr>
                )
              })}
            </tbody>
          </table>
        </section>
      )}
      {settings.value && (
        <section class="group">
          <h2>Settings <span class="dim">secrets are not shown</span></h2>
          <dl class="settings">
            {Object.entries(settings.value.settings).filter(([, value]) => value !== '' && value !== '[]').map(([name, value]) => <><dt>{name}</dt><dd>{value}</dd></>)}
          </dl>
        </section>
      )}
      <Problem error={tokens.error ?? settings.error} />
      {!holds('admin') && <p class="group dim">Settings and access tokens are shown to an access token of the scope admin.</p>}
      <section class="group">
        <h2>At a shell</h2>
        <Command line={command('list', '--stuck-for', '10m')} />
        <Command line={`curl -s ${location.origin}/metrics`} />
        <Command line={`curl -s ${location.origin}/v1/journal -o copy.db`} />
      </section>
    </main>
  )
}

function Card({ name, value }: { name: string; value: string | undefined }) {
  return value === undefined ? null : <div class="card"><span class="dim">{name}</span><b>{value}</b></div>
}

async function readiness(signal: AbortSignal): Promise<Readiness> {
  const { r, text } = await send('/readyz', { signal })
  const said = r.headers.get('Content-Type')?.startsWith('application/json') // 503 has the same body
  if (!said) throw failureOf(r.status, text)
  return JSON.parse(text) as Readiness
}

type Samples = Map<string, { labels: string; value: number }[]>

// samples reads the Prometheus text format.
export function samples(text: string): Samples {
  const out: Samples = new Map()
  for (const line of text.split('\n')) {
    const found = /^([a-zA-Z_:][\w:]*)(\{.*\})? (\S+)/.exec(line)
    if (!found) continue
    const list = out.get(found[1]!) ?? []
    list.push({ labels: found[2] ?? '', value: Number(found[3]) })
    out.set(found[1]!, list)
  }
  return out
}

async function metrics(signal: AbortSignal): Promise<Samples> {
  const { r, text } = await send('/metrics', { signal })
  if (!r.ok) throw failureOf(r.status, text)
  return samples(text)
}

const moment = (seconds: number) => dateTime(new Date(seconds * 1000).toISOString())

const text = (value: number | undefined, how: (n: number) => string) => (value === undefined || Number.isNaN(value) ? undefined : how(value))

function sum(m: Samples | undefined, name: string): string | undefined {
  const all = m?.get(name)
  return all && all.reduce((n, s) => n + s.value, 0).toLocaleString('en')
}

function mean(m: Samples | undefined, name: string): string | undefined {
  const total = m?.get(name + '_sum')?.[0]?.value
  const n = m?.get(name + '_count')?.[0]?.value
  return total !== undefined && n ? span((1000 * total) / n) : undefined
}
