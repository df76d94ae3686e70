import { useState } from 'preact/hooks'
import { Exact } from './api'
import { Copy } from './bits'
import { bytes } from './format'

// A payload as a tree that is drawn as it is opened. Everything in it is text: nothing becomes markup.

const most = 100 // entries that are drawn at once
const long = 400 // characters of a text

export function Payload({ value, name, raw }: { value: unknown; name: string; raw?: string }) {
  const size = sizeOf(value)
  const big = size > 256 * 1024
  return (
    <div class="payload">
      <div class="payload-head">
        <span>{name}</span>
        <span class="dim">{bytes(size)}</span>
        {raw && (
          <a class="small" href={raw} download={name + '.json'}>
            Download
          </a>
        )}
        {!raw && big && (
          <button type="button" class="small" onClick={() => save(write(value), name + '.json')}>
            Download
          </button>
        )}
        {!big && <Copy text={write(value)} />}
      </div>
      {big ? <pre class="preview">{write(value).slice(0, 4_096) + ' …'}</pre> : <Tree value={value} open={2} />}
    </div>
  )
}

// save gives the browser a text to keep as a file.
function save(text: string, name: string) {
  const link = document.createElement('a')
  link.href = URL.createObjectURL(new Blob([text], { type: 'application/json' }))
  link.download = name
  link.click()
  URL.revokeObjectURL(link.href)
}

// write is the JSON text of a value, with every digit as it came.
export function write(value: unknown): string {
  if (value instanceof Exact) return value.text
  if (Array.isArray(value)) return '[' + value.map((v) => write(v)).join(',') + ']'
  if (value && typeof value === 'object') {
    return '{' + Object.entries(value).map(([k, v]) => JSON.stringify(k) + ':' + write(v)).join(',') + '}'
  }
  return JSON.stringify(value) ?? 'null'
}

function sizeOf(value: unknown): number {
  if (value instanceof Exact) return value.text.length
  if (typeof value === 'string') return value.length + 2
  if (Array.isArray(value)) return value.reduce((n: number, v) => n + sizeOf(v) + 1, 1)
  if (value && typeof value === 'object') return Object.entries(value).reduce((n, [k, v]) => n + k.length + 4 + sizeOf(v), 1)
  return String(value).length
}

export function Tree({ value, open = 1 }: { value: unknown; open?: number }) {
  return (
    <div class="tree">
      <Node value={value} open={open} />
    </div>
  )
}

function Node({ value, name, open }: { value: unknown; name?: string | undefined; open: number }) {
  const [shown, setShown] = useState(open > 0)
  const [many, setMany] = useState(most)
  const key = name !== undefined && <span class="key">{name}: </span>
  if (!value || typeof value !== 'object' || value instanceof Exact) {
    return (
      <div class="leaf">
        {key}
        <Leaf value={value} />
      </div>
    )
  }
  const list = Array.isArray(value)
  const entries = list ? value : Object.keys(value)
  const n = entries.length
  if (n === 0) {
    return (
      <div class="leaf">
        {key}
        <span class="mark">{list ? '[]' : '{}'}</span>
      </div>
    )
  }
  return (
    <div>
      <button type="button" class="fold" aria-expanded={shown} onClick={() => setShown(!shown)}>
        <span class="turn">{shown ? '▾' : '▸'}</span>
        {key}
        <span class="mark">{list ? `[${n}]` : `{${n}}`}</span>
      </button>
      {shown && (
        <div class="children">
          {Array.from({ length: Math.min(n, many) }, (_, i) =>
            list ? <Node name={String(i)} value={value[i]} open={open - 1} /> : <Node name={entries[i] as string} value={(value as Record<string, unknown>)[entries[i] as string]} open={open - 1} />,
          )}
          {n > many && (
            <button type="button" class="small quiet" onClick={() => setMany(many + 10 * most)}>
              {n - many} more
            </button>
          )}
        </div>
      )}
    </div>
  )
}

function Leaf({ value }: { value: unknown }) {
  const [all, setAll] = useState(false)
  if (value instanceof Exact) return <span class="num">{value.text}</span>
  if (typeof value === 'number') return <span class="num">{String(value)}</span>
  if (typeof value !== 'string') return <span class="lit">{String(value)}</span>
  const text = JSON.stringify(value)
  if (text.length <= long || all) return <span class="str">{text}</span>
  return (
    <span class="str">
      {text.slice(0, long)}…
      <button type="button" class="small quiet" onClick={() => setAll(true)}>
        {bytes(text.length)}, show all
      </button>
    </span>
  )
}
