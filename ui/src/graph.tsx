import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import { shape, stateName, tone } from './bits'
import type { Box, Layout } from './layout'
import { change } from './route'
import type { Step } from './types'

// How many elements may be drawn at once, and from how many boxes on only those in view are.
const mostElements = 3_000
const plain = 300
const zooms = { least: 0.02, most: 2 }

interface View {
  x: number
  y: number
  zoom: number
}

export function Graph({ layout, steps, selected, search, hideDone }: { layout: Layout; steps: Record<string, Step> | undefined; selected: string; search: string; hideDone: boolean }) {
  const box = useRef<HTMLDivElement>(null)
  const [size, setSize] = useState({ width: 900, height: 500 })
  const [view, setView] = useState<View>()
  useEffect(() => {
    const el = box.current!
    const measure = () => setSize({ width: el.clientWidth, height: el.clientHeight })
    measure()
    const watch = new ResizeObserver(measure)
    watch.observe(el)
    return () => watch.disconnect()
  }, [])
  const whole = useMemo(() => fit(layout, size), [layout, size])
  const v = view ?? whole
  const drag = useRef<{ x: number; y: number; view: View; moved: boolean } | undefined>(undefined)

  // What is searched or chosen comes into view when it is not.
  const wanted = search ? layout.boxes.find((b) => b.name.toLowerCase().includes(search.toLowerCase())) : layout.boxes.find((b) => b.name === selected)
  useEffect(() => {
    if (!wanted) return
    const left = (wanted.x - v.x) * v.zoom
    const top = (wanted.y - v.y) * v.zoom
    if (v.zoom > 0.3 && left > 0 && top > 0 && left + wanted.width * v.zoom < size.width && top + wanted.height * v.zoom < size.height) return
    const zoom = Math.max(v.zoom, 0.8)
    setView({ zoom, x: wanted.x + wanted.width / 2 - size.width / 2 / zoom, y: wanted.y + wanted.height / 2 - size.height / 2 / zoom })
  }, [wanted?.name, search])

  const zoomBy = (by: number, cx = size.width / 2, cy = size.height / 2) => {
    const zoom = Math.min(zooms.most, Math.max(zooms.least, v.zoom * by))
    setView({ zoom, x: v.x + cx / v.zoom - cx / zoom, y: v.y + cy / v.zoom - cy / zoom })
  }
  const wheel = (e: WheelEvent) => {
    e.preventDefault()
    if (e.ctrlKey || e.metaKey || !e.shiftKey) {
      const r = box.current!.getBoundingClientRect()
      zoomBy(Math.exp(-e.deltaY / 400), e.clientX - r.left, e.clientY - r.top)
    } else setView({ ...v, x: v.x + e.deltaY / v.zoom })
  }
  const down = (e: PointerEvent) => {
    if (e.button !== 0) return
    drag.current = { x: e.clientX, y: e.clientY, view: v, moved: false }
  }
  const move = (e: PointerEvent) => {
    const d = drag.current
    if (!d || !e.buttons) return
    if (!d.moved && Math.abs(e.clientX - d.x) + Math.abs(e.clientY - d.y) < 4) return
    d.moved = true
    setView({ ...d.view, x: d.view.x - (e.clientX - d.x) / d.view.zoom, y: d.view.y - (e.clientY - d.y) / d.view.zoom })
  }
  const choose = (name: string) => {
    if (!drag.current?.moved) change({ step: name })
  }

  const drawn = useMemo(() => choice(layout, steps, v, size, selected, hideDone), [layout, steps, v, size, selected, hideDone])
  const far = v.zoom < 0.35
  return (
    <div class="graph" ref={box} onWheel={wheel} onPointerDown={down} onPointerMove={move} data-drawn={drawn.boxes.length + drawn.lines.length}>
      <svg width={size.width} height={size.height} viewBox={`${v.x} ${v.y} ${size.width / v.zoom} ${size.height / v.zoom}`} role="img" aria-label={`Graph of ${layout.boxes.length} steps; the list of steps beside it says the same`}>
        <g class="lines">
          {drawn.lines.map((i) => {
            const l = layout.lines[i]!
            return <path key={i} d={curve(l.points)} class={(l.kind === 'on_timeout' ? 'late' : '') + (steps && settled(steps[layout.boxes[l.from]!.name]) ? ' done' : '')} />
          })}
        </g>
        {drawn.boxes.map((i) => {
          const b = layout.boxes[i]!
          return <Node key={b.name} box={b} step={steps?.[b.name]} on={b.name === selected} found={search !== '' && b.name.toLowerCase().includes(search.toLowerCase())} far={far} choose={choose} />
        })}
      </svg>
      <div class="zoom">
        <button type="button" class="small" aria-label="Zoom in" onClick={() => zoomBy(1.4)}>+</button>
        <button type="button" class="small" aria-label="Zoom out" onClick={() => zoomBy(1 / 1.4)}>−</button>
        <button type="button" class="small" onClick={() => setView(undefined)}>Fit</button>
      </div>
      {drawn.left > 0 && <div class="left-out">{drawn.left.toLocaleString('en')} steps in view are not drawn: zoom in</div>}
      {layout.boxes.length > plain && <Minimap layout={layout} steps={steps} view={v} size={size} to={(x, y) => setView({ ...v, x: x - size.width / 2 / v.zoom, y: y - size.height / 2 / v.zoom })} />}
    </div>
  )
}

const settled = (s: Step | undefined) => s?.state === 'completed' || s?.state === 'skipped'

function fit(layout: Layout, size: { width: number; height: number }): View {
  const zoom = Math.min(1, Math.max(zooms.least, Math.min(size.width / layout.width, size.height / layout.height)))
  return { zoom, x: Math.min(0, (layout.width - size.width / zoom) / 2), y: Math.min(0, (layout.height - size.height / zoom) / 2) }
}

const loud = new Set(['failed', 'timed_out', 'running', 'blocked'])

// choice says which boxes and lines are drawn: those in view, first the ones that somebody looks for, and never too many.
export function choice(layout: Layout, steps: Record<string, Step> | undefined, v: View, size: { width: number; height: number }, selected: string, hideDone: boolean) {
  const right = v.x + size.width / v.zoom
  const bottom = v.y + size.height / v.zoom
  const all = layout.boxes.length <= plain
  const inView = (b: Box) => all || (b.x < right && b.y < bottom && b.x + b.width > v.x && b.y + b.height > v.y)
  const first: number[] = []
  const rest: number[] = []
  layout.boxes.forEach((b, i) => {
    if (!inView(b)) return
    const state = steps?.[b.name]?.state ?? ''
    if (b.name === selected || loud.has(state)) first.push(i)
    else if (!hideDone || !settled(steps?.[b.name])) rest.push(i)
  })
  const candidates = first.concat(rest)
  const perBox = v.zoom < 0.35 ? 1 : 4 // elements of one
  const room = Math.floor((mostElements * 0.7) / perBox)
  const boxes = candidates.slice(0, room)
  const shown = new Set(boxes)
  const lines: number[] = []
  const lineRoom = mostElements - boxes.length * perBox
  for (let i = 0; i < layout.lines.length && lines.length < lineRoom; i++) {
    const l = layout.lines[i]!
    if (all ? shown.has(l.from) && shown.has(l.to) : shown.has(l.from) || shown.has(l.to)) lines.push(i)
  }
  return { boxes, lines, left: candidates.length - boxes.length }
}

// curve is a line through points, bent where it turns.
function curve(points: [number, number][]): string {
  const [first, ...rest] = points
  let at = first!
  let d = `M${at[0]} ${at[1]}`
  for (const p of rest) {
    const mid = (at[0] + p[0]) / 2
    d += at[1] === p[1] ? `H${p[0]}` : `C${mid} ${at[1]} ${mid} ${p[1]} ${p[0]} ${p[1]}`
    at = p
  }
  return d
}

const typeMark: Record<string, string> = { wait_signal: 'signal', wait_timer: 'timer' }

function Node({ box: b, step, on, found, far, choose }: { box: Box; step: Step | undefined; on: boolean; found: boolean; far: boolean; choose: (name: string) => void }) {
  const state = step?.state ?? ''
  const cls = `node t-${state ? tone(state) : 'none'} s-${state}` + (on ? ' on' : '') + (found ? ' found' : '')
  if (far) return <rect class={cls} x={b.x} y={b.y} width={b.width} height={b.height} rx={4} onClick={() => choose(b.name)} />
  const room = Math.floor((b.width - 34) / 7)
  const mark = typeMark[b.type]
  return (
    <g class={cls} transform={`translate(${b.x} ${b.y})`} onClick={() => choose(b.name)} data-step={b.name}>
      <title>{b.name + (state ? ': ' + stateName(state) : '')}</title>
      <rect width={b.width} height={b.height} rx={5} />
      <path class={'icon' + (state === 'running' ? ' solid' : '')} d={shape(state)} transform={`translate(9 ${b.height / 2 - 6})`} />
      <text x={27} y={b.height / 2 + 4}>
        {b.name.length > room ? b.name.slice(0, Math.max(1, room - 1)) + '…' : b.name}
      </text>
      {mark && b.name.length + mark.length + 1 < room && <text class="type" x={b.width - 8} y={b.height / 2 + 4} text-anchor="end">{mark}</text>}
    </g>
  )
}

const mini = { width: 180, height: 110 }

// Minimap is drawn on a canvas: its dots are no elements.
function Minimap({ layout, steps, view, size, to }: { layout: Layout; steps: Record<string, Step> | undefined; view: View; size: { width: number; height: number }; to: (x: number, y: number) => void }) {
  const canvas = useRef<HTMLCanvasElement>(null)
  const scale = Math.min(mini.width / layout.width, mini.height / layout.height)
  useEffect(() => {
    const c = canvas.current?.getContext('2d')
    if (!c) return
    const css = getComputedStyle(canvas.current!)
    const colours: Record<string, string> = {}
    for (const t of ['ok', 'bad', 'run', 'wait', 'queue', 'off']) colours[t] = css.getPropertyValue('--' + t)
    c.clearRect(0, 0, mini.width, mini.height)
    for (const b of layout.boxes) {
      c.fillStyle = colours[tone(steps?.[b.name]?.state ?? '')] || '#888'
      c.fillRect(b.x * scale, b.y * scale, Math.max(1, b.width * scale), Math.max(0.6, b.height * scale))
    }
    c.strokeStyle = css.color
    c.strokeRect(view.x * scale, view.y * scale, (size.width / view.zoom) * scale, (size.height / view.zoom) * scale)
  }, [layout, steps, view, size])
  const click = (e: MouseEvent) => {
    const r = canvas.current!.getBoundingClientRect()
    to((e.clientX - r.left) / scale, (e.clientY - r.top) / scale)
  }
  return <canvas ref={canvas} class="minimap" width={mini.width} height={mini.height} aria-hidden="true" onClick={click} onPointerDown={(e) => e.stopPropagation()} />
}
