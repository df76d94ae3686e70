import type { Definition } from './types'

// Where each step of a workflow is drawn. The daemon works it out; place is what the page does by itself until it has that answer.
export interface Box {
  name: string
  type: string
  x: number
  y: number
  width: number
  height: number
  steps?: string[] // of a folded group
}

export interface Line {
  from: number // index of a box
  to: number
  kind: string
  points: [number, number][]
}

export interface Layout {
  boxes: Box[]
  lines: Line[]
  width: number
  height: number
}

export const place = (def: Definition): Layout => {
  const index = new Map(def.steps.map((s, i) => [s.name, i]))
  const layer: number[] = []
  const rows: number[] = []
  const boxes = def.steps.map((s, i): Box => {
    layer[i] = Math.max(0, ...(s.dependencies ?? []).map((d) => (layer[index.get(d)!] ?? 0) + 1))
    const row = rows[layer[i]!] ?? 0
    rows[layer[i]!] = row + 1
    return { name: s.name, type: s.type ?? 'task', x: 16 + layer[i]! * 232, y: 16 + row * 44, width: 176, height: 30 }
  })
  const lines: Line[] = []
  const add = (from: number, to: number, kind: string) => {
    const a = boxes[from]!
    const b = boxes[to]!
    lines.push({ from, to, kind, points: [[a.x + a.width, a.y + a.height / 2], [b.x, b.y + b.height / 2]] })
  }
  def.steps.forEach((s, i) => {
    for (const d of s.dependencies ?? []) add(index.get(d)!, i, 'dependency')
    const late = s.signal?.on_timeout
    if (late && index.has(late)) add(i, index.get(late)!, 'on_timeout')
  })
  return { boxes, lines, width: 32 + rows.length * 232 - 56, height: 32 + Math.max(1, ...rows) * 44 - 14 }
}
