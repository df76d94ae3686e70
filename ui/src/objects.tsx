import { ask, get, part } from './api'
import { usePolled } from './asked'
import { Command, Empty, may, Problem } from './bits'
import { act } from './dialog'
import { command } from './format'
import { Payload } from './payload'
import { change, go, link, place } from './route'
import type { Holder, ObjectState } from './types'

export function Objects() {
  const { id: key, query } = place.value
  const prefix = query.get('prefix') ?? ''
  const list = usePolled('objects ' + prefix, (s) => get<{ objects: ObjectState[]; next_cursor?: string }>(`/v1/objects?limit=500${prefix && '&prefix=' + part(prefix)}`, s), 3_000)
  const one = usePolled(key && 'object ' + key, (s) => get<ObjectState>('/v1/objects/' + part(key), s), 3_000)
  return (
    <main>
      <div class="bar">
        <h1>Objects</h1>
        <input id="search" type="search" placeholder="Key begins with…  ( / )" aria-label="Key begins with" value={prefix} onInput={(e) => change({ prefix: e.currentTarget.value }, true)} />
        <span class="dim">keys that have a state, or that a step holds or waits for</span>
      </div>
      <Problem error={list.error} />
      <div class="body">
        <div class="tab">
          {list.value?.objects.length === 0 ? (
            <Empty>
              <h2>{prefix ? 'No key begins with that' : 'No object keys'}</h2>
              <p>A step names in <code>object_keys</code> what it touches. Steps with the same key run one after the other, and the key keeps a state between them.</p>
              <Command line={command('objects')} />
            </Empty>
          ) : (
            <section class="group">
              <table class="grid">
                <thead><tr><th>Key</th><th class="right">Version</th><th>Held by</th><th class="right">Waiting</th></tr></thead>
                <tbody>
                  {list.value?.objects.map((o) => (
                    <tr key={o.key} class={o.key === key ? 'on' : ''}>
                      <td><a class="id" href={link('objects', o.key, '', query)}>{o.key}</a></td>
                      <td class="right num">{o.version || ''}</td>
                      <td>{o.holder && <By holder={o.holder} />}</td>
                      <td class="right num">{o.queue?.length || ''}</td>
                    </tr>
                  ))}
                </tbody>
              </table>
              {list.value?.next_cursor && <p class="dim">There are more: narrow them down by how the key begins.</p>}
            </section>
          )}
        </div>
        {key && (
          <aside class="pane" aria-label="Chosen object">
            <div class="pane-close"><button type="button" class="small quiet" aria-label="Close the pane" onClick={() => go(link('objects', '', '', query))}>✕</button></div>
            <h2 class="step-name">{key}</h2>
            <Problem error={one.error} />
            {one.value && (
              <>
                <dl>
                  <dt>Version</dt><dd>{one.value.version}</dd>
                  <dt>Fence</dt><dd>{one.value.fence}</dd>
                  <dt>Held by</dt><dd>{one.value.holder ? <By holder={one.value.holder} /> : <span class="dim">nobody</span>}</dd>
                  {one.value.queue?.length ? <><dt>Waiting</dt><dd>{one.value.queue.slice(0, 50).map((h) => <div><By holder={h} /></div>)}</dd></> : null}
                </dl>
                <section><Payload name="State" value={one.value.state} /></section>
                {may('admin') && (
                  <button type="button" onClick={() => act({
                    title: 'Delete the state of ' + key,
                    what: 'The next step that holds the key finds no state. A key that a step holds is refused.',
                    button: 'Delete state',
                    danger: true,
                    confirm: key,
                    line: () => command('objects', 'delete', key),
                    send: async () => {
                      await ask('/v1/objects/' + part(key), { method: 'DELETE' })
                      list.again()
                      one.again()
                    },
                  })}>Delete state…</button>
                )}
              </>
            )}
          </aside>
        )}
      </div>
    </main>
  )
}

const By = ({ holder: h }: { holder: Holder }) => (
  <><a href={link('run', h.workflow_id, '', { step: h.step })}>{h.workflow_id}</a> <span class="dim">{h.step}</span></>
)
