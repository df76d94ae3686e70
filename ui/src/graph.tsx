import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import { done, settled, shape, stateName, stepStates, tone } from './bits'
import { type Box, boxOf, type Layout } from './layout'
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
  const wanted = search ? layout.nodes.find((b) => b.name.toLowerCase().includes(search.toLowerCase())) : (selected ? boxOf(layout, selected) : undefined)
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
      <svg width={size.width} height={size.height} viewBox={`${v.x} ${v.y} ${size.width / v.zoom} ${size.height / v.zoom}`} role="img" aria-label={`Graph of ${layout.nodes.length} steps; the list of steps beside it says the same`}>
        <g class="lines">
          {drawn.lines.map((i) => {
            const l = layout.edges[i]!
            return <path key={i} d={curve(l.points)} class={(l.kind === 'dependency' ? '' : 'late') + (steps && passed(l.kind, layout.nodes[l.from]!, steps) ? ' done' : '')} />
          })}
        </g>
        {drawn.boxes.map((i) => {
          const b = layout.nodes[i]!
          return <Node key={b.name} box={b} steps={steps} on={b.name === selected || !!b.steps?.includes(selected)} selected={selected} found={search !== '' && b.name.toLowerCase().includes(search.toLowerCase())} far={far} choose={choose} />
        })}
      </svg>
      <div class="zoom">
        <button type="button" class="small" aria-label="Zoom in" onClick={() => zoomBy(1.4)}>+</button>
        <button type="button" class="small" aria-label="Zoom out" onClick={() => zoomBy(1 / 1.4)}>−</button>
        <button type="button" class="small" onClick={() => setView(undefined)}>Fit</button>
      </div>
      {drawn.left > 0 && <div class="left-out">{drawn.left.toLocaleString('en')} steps in view are not drawn: zoom in</div>}
      {layout.nodes.length > plain && <Minimap layout={layout} steps={steps} view={v} size={size} to={(x, y) => setView({ ...v, x: x - size.width / 2 / v.zoom, y: y - size.height / 2 / v.zoom })} />}
    </div>
  )
}

function fit(layout: Layout, size: { width: number; height: number }): View {
  const whole = Math.min(1, size.width / layout.width, size.height / layout.height)
  const zoom = layout.nodes.length <= plain ? Math.max(whole, 0.5) : Math.max(zooms.least, whole) // a graph of few steps can be read
  return { zoom, x: Math.min(0, (layout.width - size.width / zoom) / 2), y: Math.min(0, (layout.height - size.height / zoom) / 2) }
}

// boxStates are the states of the steps that a box shows.
const boxStates = (b: Box, steps: Record<string, Step> | undefined): string[] => (b.steps ?? [b.name]).map((n) => steps?.[n]?.state ?? '')

const loud = new Set(['failed', 'running', 'blocked'])

// passed says whether a run went the way of a line: from a step that has settled, or to the one that took over.
function passed(kind: string, from: Box, steps: Record<string, Step>): boolean {
  const all = (from.steps ?? [from.name]).map((n) => steps[n])
  switch (kind) {
    case 'on_failure':
      return all.some((s) => s?.caught)
    case 'on_timeout':
      return all.some((s) => s?.state === 'timed_out')
  }
  return all.every(settled)
}

// choice says which boxes and lines are drawn: those in view, of too many the ones that somebody looks for. They come in the order of
// the layout: whatever is chosen, no element that is drawn moves to another place, after which a browser may show it as it was.
export function choice(layout: Layout, steps: Record<string, Step> | undefined, v: View, size: { width: number; height: number }, selected: string, hideDone: boolean) {
  const right = v.x + size.width / v.zoom
  const bottom = v.y + size.height / v.zoom
  const all = layout.nodes.length <= plain
  const inView = (b: Box) => all || (b.x < right && b.y < bottom && b.x + b.width > v.x && b.y + b.height > v.y)
  const first: number[] = []
  const rest: number[] = []
  layout.nodes.forEach((b, i) => {
    if (!inView(b)) return
    if (b.name === selected || b.steps?.includes(selected) || boxStates(b, steps).some((s) => loud.has(s))) first.push(i)
    else if (!hideDone || !boxStates(b, steps).every(done)) rest.push(i)
  })
  const candidates = first.concat(rest)
  const perBox = v.zoom < 0.35 ? 1 : 4 // elements of one
  const room = Math.floor((mostElements * 0.7) / perBox)
  const boxes = candidates.slice(0, room).sort((a, b) => a - b)
  const shown = new Set(boxes)
  const lines: number[] = []
  const lineRoom = mostElements - boxes.length * perBox
  for (let i = 0; i < layout.edges.length && lines.length < lineRoom; i++) {
    const l = layout.edges[i]!
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

// groupLabel says how many steps a box stands for, and in which states those are that somebody may look for.
function groupLabel(b: Box, states: string[]): string {
  const told = stepStates.filter((r) => states.includes(r)).slice(0, 3).map((r) => `${states.filter((s) => s === r).length.toLocaleString('en')} ${stateName(r)}`)
  return `×${b.steps!.length.toLocaleString('en')}` + (told.length ? ': ' + told.join(', ') : ` ${b.steps![0]} …`)
}

const first = (b: Box, states: string[], state: string) => b.steps![Math.max(0, states.indexOf(state))]!

const typeMark: Record<string, string> = { wait_signal: 'signal', wait_timer: 'timer' }

const mostMembers = 24 // of a group that are drawn by themselves

// A group has the state of those of its steps that somebody may look for first.
function Node({ box: b, steps, on, selected, found, far, choose }: { box: Box; steps: Record<string, Step> | undefined; on: boolean; selected: string; found: boolean; far: boolean; choose: (name: string) => void }) {
  const states = boxStates(b, steps)
  const state = b.steps ? (stepStates.find((r) => states.includes(r)) ?? '') : states[0]!
  const label = (b.steps ? groupLabel(b, states) : b.name) + (b.marks ? ' [' + b.marks.join(', ') + ']' : '')
  const cls = `node t-${state ? tone(state) : 'none'} s-${state}` + (on ? ' on' : '') + (found ? ' found' : '')
  if (far) return <rect class={cls} x={b.x} y={b.y} width={b.width} height={b.height} rx={4} onClick={() => choose(b.steps ? first(b, states, state) : b.name)} />
  const room = Math.floor((b.width - 24) / 8) // as the daemon reckons a letter
  const mark = typeMark[b.type]
  return (
    <g class={cls} transform={`translate(${b.x} ${b.y})`} onClick={() => choose(b.steps ? first(b, states, state) : b.name)} data-step={b.name}>
      <title>{b.name + (state ? ': ' + (b.steps ? label : stateName(state)) : '')}</title>
      <rect width={b.width} height={b.height} rx={5} />
      <path class={'icon' + (state === 'running' ? ' solid' : '')} d={shape(state)} transform={`translate(6 ${b.height / 2 - 6})`} />
      <text x={21} y={b.height / 2 + 4}>
        {label.length > room ? label.slice(0, Math.max(1, room - 1)) + '…' : label}
      </text>
      {b.steps &&
        b.steps
          .filter((_, i) => loud.has(states[i]!))
          .slice(0, mostMembers)
          .map((n, i) => (
            <rect key={n} class={'member t-' + tone(steps?.[n]?.state ?? '') + (n === selected ? ' on' : '')} x={4 + i * 8} y={b.height - 3} width={6} height={6} rx={1} onClick={(e) => (e.stopPropagation(), choose(n))}>
              <title>{n + ': ' + stateName(steps?.[n]?.state ?? '')}</title>
            </rect>
          ))}
      {mark && label.length + mark.length + 1 < room && <text class="type" x={b.width - 8} y={b.height / 2 + 4} text-anchor="end">{mark}</text>}
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
    for (const b of layout.nodes) {
      const states = boxStates(b, steps)
      c.fillStyle = colours[tone(stepStates.find((r) => states.includes(r)) ?? '')] || '#888'
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
