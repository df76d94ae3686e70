// Where each step of a workflow is drawn, as the daemon works it out: GET /v1/workflows/{name}/graph.
export interface Box {
  name: string
  type: string
  marks?: string[] // if, for each, repeat
  x: number
  y: number
  width: number
  height: number
  steps?: string[] // of a group that is drawn as one box
}

export interface Line {
  from: number // index of a box
  to: number
  kind: string
  points: [number, number][]
}

export interface Layout {
  nodes: Box[]
  edges: Line[]
  width: number
  height: number
}

// foldOver is how many steps a graph may have before groups of steps that are alike become one box.
export const foldOver = 2_000

// boxOf finds the box that shows a step.
export function boxOf(layout: Layout, step: string): Box | undefined {
  return layout.nodes.find((b) => b.name === step) ?? layout.nodes.find((b) => b.steps?.includes(step))
}
