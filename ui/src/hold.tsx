import { get } from './api'
import { usePolled } from './asked'
import { may } from './bits'
import { act, resumeAll } from './dialog'
import { count } from './format'
import type { Hold } from './types'

// Held is a line across the page while the daemon, started with --careful, holds the runs.
export function Held() {
  const hold = usePolled('hold', (s) => get<Hold>('/v1/hold', s), 5_000)
  const h = hold.value
  if (!h?.held) return null
  return (
    <div class="notice lost" role="status">
      {heldText(h)}{' '}
      {may('operate') && <button type="button" class="small" onClick={() => act(resumeAll())}>{h.resuming ? 'Change the rate…' : 'Resume all…'}</button>}
    </div>
  )
}

export const heldText = (h: Hold): string =>
  h.resuming
    ? `The runs are being resumed, oldest first${h.per_second ? `, ${h.per_second.toLocaleString('en')} a second` : ''}: ${count(h.resumed, 'run')} resumed, ${h.runs.toLocaleString('en')} held still.`
    : `The daemon was started with --careful and holds ${count(h.runs, 'run')}: nothing is handed out, and no timer fires.`
