import { Exact } from './api'

// pretty is the JSON text of a value, a line a member, in the order in which it came.
export function pretty(value: unknown, indent = ''): string {
  if (value instanceof Exact) return value.text
  const inner = indent + '  '
  if (Array.isArray(value)) {
    if (value.every((v) => v === null || typeof v !== 'object' || v instanceof Exact)) return '[' + value.map((v) => pretty(v)).join(', ') + ']'
    return '[\n' + value.map((v) => inner + pretty(v, inner)).join(',\n') + '\n' + indent + ']'
  }
  if (value && typeof value === 'object') {
    const members = Object.entries(value)
    if (members.length === 0) return '{}'
    return '{\n' + members.map(([k, v]) => inner + JSON.stringify(k) + ': ' + pretty(v, inner)).join(',\n') + '\n' + indent + '}'
  }
  return JSON.stringify(value) ?? 'null'
}

const mostCells = 4_000_000

// lines compares two texts line by line: what stayed, what went, what came. Texts that are too long for that are shown one after the
// other where they differ.
export function lines(before: string, after: string): [' ' | '+' | '-', string][] {
  const a = before.split('\n')
  const b = after.split('\n')
  let start = 0
  while (start < a.length && start < b.length && a[start] === b[start]) start++
  let end = 0
  while (end < a.length - start && end < b.length - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end++
  const out: [' ' | '+' | '-', string][] = a.slice(0, start).map((t) => [' ', t])
  const x = a.slice(start, a.length - end)
  const y = b.slice(start, b.length - end)
  if (x.length * y.length > mostCells) {
    for (const t of x) out.push(['-', t])
    for (const t of y) out.push(['+', t])
  } else {
    const width = y.length + 1
    const common = new Uint32Array((x.length + 1) * width) // longest common rest
    for (let i = x.length - 1; i >= 0; i--) {
      for (let j = y.length - 1; j >= 0; j--) {
        common[i * width + j] = x[i] === y[j] ? common[(i + 1) * width + j + 1]! + 1 : Math.max(common[(i + 1) * width + j]!, common[i * width + j + 1]!)
      }
    }
    let i = 0
    let j = 0
    while (i < x.length || j < y.length) {
      if (i < x.length && j < y.length && x[i] === y[j]) {
        out.push([' ', x[i]!])
        i++
        j++
      } else if (i < x.length && (j === y.length || common[(i + 1) * width + j]! >= common[i * width + j + 1]!)) out.push(['-', x[i++]!])
      else out.push(['+', y[j++]!])
    }
  }
  for (const t of a.slice(a.length - end)) out.push([' ', t])
  return out
}
