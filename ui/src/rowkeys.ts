import { useLayoutEffect, useRef } from 'preact/hooks'
import { change, go, place } from './route'

// useRowKeys lets j, k and enter go through the rows of a list. It gives the chosen one, which stands in the address. at is where it
// stands among the rows, -1 when it does not. open gives the address of a row.
export function useRowKeys(rows: string[], open: (row: string) => string): { row: string; at: number } {
  const row = place.value.query.get('row') ?? ''
  const at = row ? rows.indexOf(row) : -1
  const last = useRef(-1) // where the chosen row is, or was before it went
  if (at >= 0 || !row) last.current = at
  // At once: the next key must meet what this one changed.
  useLayoutEffect(() => {
    const key = (e: CustomEvent<string>) => {
      const to = (i: number) => change({ row: rows[Math.min(rows.length - 1, Math.max(0, i))] }, true)
      if (e.detail === 'j') to(at < 0 ? Math.max(0, last.current) : at + 1) // where a row went, the next one is
      else if (e.detail === 'k') to(last.current - 1)
      else if (e.detail === 'Enter' && at >= 0) go(open(row))
    }
    document.addEventListener('page-key', key as EventListener)
    return () => document.removeEventListener('page-key', key as EventListener)
  })
  return { row, at }
}
