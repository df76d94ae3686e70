import { signal } from '@preact/signals'
import { render } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import { ask, Failure, get, signedOut } from './api'
import { useAsked } from './asked'
import { Command, Empty, file, now, ofFile, readOnly, scopes } from './bits'
import { Daemon } from './daemon'
import { Diff } from './diff'
import { Dialog, dialogIsOpen } from './dialog'
import { Help } from './help'
import { Held } from './hold'
import { dateTime, word } from './format'
import { connected, start } from './live'
import { Login } from './login'
import { Objects } from './objects'
import { link, place } from './route'
import { Run } from './run'
import { Runs } from './runs'
import { OneSchedule } from './schedule'
import { Schedules } from './schedules'
import type { VersionInfo } from './types'
import { Workers } from './workers'
import { OneWorkflow, Workflows } from './workflows'
import './style.css'

const screens: Record<string, () => preact.JSX.Element> = { runs: Runs, run: Run, workflows: Workflows, workflow: OneWorkflow, workers: Workers, objects: Objects, schedules: Schedules, schedule: OneSchedule, daemon: Daemon, diff: Diff }

const menu: [screen: string, name: string, also: string[]][] = [
  ['runs', 'Runs', ['run', 'diff']],
  ['workflows', 'Workflows', ['workflow']],
  ['schedules', 'Schedules', ['schedule']],
  ['workers', 'Workers', []],
  ['objects', 'Objects', []],
  ['daemon', 'Daemon', []],
]

function App() {
  const { screen, id } = place.value
  const version = useAsked('version', (s) => get<VersionInfo>('/version', s))
  const [help, setHelp] = useState(false)
  useEffect(() => {
    document.title = (id || menu.find(([key, , also]) => key === screen || also.includes(screen))?.[1] || 'agnt5d') + ' · agnt5d'
  }, [screen, id])
  useEffect(() => {
    const key = (e: KeyboardEvent) => {
      if (e.ctrlKey || e.metaKey || e.altKey || dialogIsOpen()) return
      const el = e.target as HTMLElement
      const typing = el.closest('input:not([type=range]):not([type=checkbox]), textarea, select')
      if (e.key === 'Escape') {
        if (help) setHelp(false)
        else if (typing) el.blur()
        else tell('Escape')
        return
      }
      if (typing) return
      if (e.key === 'Enter' || e.key === ' ') {
        if (el.closest('button, a, summary, input')) return
      }
      if (e.key === '?') setHelp(!help)
      else if (e.key === '/') document.getElementById('search')?.focus()
      else if (['j', 'k', 'x', 'Enter', '[', ']', '.', ' '].includes(e.key)) tell(e.key)
      else return
      e.preventDefault()
    }
    addEventListener('keydown', key)
    return () => removeEventListener('keydown', key)
  }, [help])
  const Screen = (ofFile && notInFile[screen]) || (screens[screen] ?? Nowhere)
  return (
    <>
      <header class="top">
        <a class="brand" href={link('runs')}>agnt5d</a>
        <nav aria-label="Screens">
          {menu.filter(([key]) => !ofFile || key === 'runs' || key === 'workflows').map(([key, name, also]) => (
            <a href={link(key)} class={key === screen || also.includes(screen) ? 'on' : ''}>{name}</a>
          ))}
        </nav>
        <span class="grow" />
        {readOnly && <span class="badge">read-only</span>}
        <span class={'live ' + (ofFile ? '' : connected.value ? 'yes' : connected.value === false ? 'no' : '')} role="status">
          {file.value ? `${file.value.name} as of ${dateTime(file.value.asOf)}` : connected.value ? 'live' : connected.value === false ? 'not connected' : 'connecting'}
        </span>
        <span class="dim release" title={version.value?.version}>{version.value?.version}</span>
        {who.value && <button type="button" class="small quiet" onClick={signOut} title={scopes.value?.join(' ')}>Sign out {who.value}</button>}
        <button type="button" class="small quiet" aria-label="Help" title="Keys  ?" onClick={() => setHelp(true)}>?</button>
      </header>
      {connected.value === false && <div class="notice lost" role="alert">The daemon does not answer. What is shown is as it was; the page goes on by itself when it is back.</div>}
      {begun.value && !signedOut.value && !ofFile && <Held />}
      {signedOut.value ? <Login /> : begun.value && <Screen />}
      <Dialog />
      {help && <Help close={() => setHelp(false)} />}
    </>
  )
}

const who = signal('')
const begun = signal(false)

const signOut = () => void ask('/v1/session', { method: 'DELETE' }).finally(() => location.reload())

const tell = (key: string) => document.dispatchEvent(new CustomEvent('page-key', { detail: key }))

const Nowhere = () => (
  <main><div class="empty"><h2>There is no such screen</h2><a href={link('runs')}>Runs</a></div></main>
)

// What a journal file does not tell.
const NotTold = ({ what, then, line }: { what: string; then: string; line: string }) => (
  <main>
    <Empty>
      <h2>{what}</h2>
      <p>{then}</p>
      <Command line={line} />
    </Empty>
  </main>
)

const noSchedules = () => <NotTold what="A file’s schedules are not shown here" then="What became of their due times stands in the file. Of a running daemon:" line="agnt5d schedules" />

const notInFile: Record<string, () => preact.JSX.Element> = {
  schedules: noSchedules,
  schedule: noSchedules,
  workers: () => <NotTold what="A file does not say who works" then="Workers, services and what they have in hand only a daemon knows. Which worker had an attempt stands in the events of its run. Of a running daemon:" line="agnt5d workers" />,
  objects: () => <NotTold what="A file does not say who holds a key now" then="Which step got its keys, and when, stands in the events of its run. Of a running daemon:" line="agnt5d objects" />,
  daemon: () => <NotTold what="No daemon runs on this file" then="So there is no readiness, no settings and no tokens to show. Whether the file is whole:" line={`agnt5d doctor ${word(file.value?.name ?? 'JOURNAL')}`} />,
}

interface Session {
  by?: string
  scope?: string
  open: boolean // nobody needs a token
}

// The page begins when it knows who it is for: what they may not do is not offered, and without a token nothing else is asked.
async function begin() {
  try {
    if (ofFile) {
      const v = await get<VersionInfo>('/version')
      file.value = { name: v.file ?? '', asOf: v.as_of ?? '' }
      if (v.as_of) now.value = Date.parse(v.as_of)
    }
    const s = await get<Session>('/v1/session')
    if (!s.open) {
      scopes.value = s.scope ? s.scope.split(',') : []
      who.value = s.by ?? ''
      signedOut.value = !s.scope
    }
  } catch (e) {
    if (!(e instanceof Failure) || e.status === 0 || e.status >= 500) return void setTimeout(begin, 1_000) // a daemon that is starting
  }
  if (!signedOut.value) start()
  begun.value = true
}

void begin()
render(<App />, document.getElementById('app')!)
