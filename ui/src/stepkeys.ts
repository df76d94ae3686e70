import { useLayoutEffect } from 'preact/hooks'
import { sorted } from './banner'
import { change, place } from './route'
import { type Definition, type Status, stepsOf } from './types'

let drawn: string[] | undefined

// useDrawn tells which steps a view draws, in its order: j and k go through them.
export function useDrawn(steps: string[]) {
  useLayoutEffect(() => {
    drawn = steps
    return () => (drawn = undefined)
  }, [steps])
}

// troubles are the steps to look at, in the order in which the banner names them: the one that failed, or those that hold the run up.
export function troubles(run: Status): string[] {
  if (run.error) return [run.error.step]
  const reasons = sorted(run.reasons ?? []).filter((r) => r.step)
  const stuck = reasons.filter((r) => r.code !== 'running')
  return [...new Set((stuck.length ? stuck : reasons).flatMap((r) => [r.step!, ...(r.steps ?? [])]))]
}

export function useStepKeys(run: Status | undefined, def: Definition | undefined) {
  // At once: the next key must meet what this one changed.
  useLayoutEffect(() => {
    const key = (e: CustomEvent<string>) => {
      const chosen = place.value.query.get('step') ?? ''
      if (e.detail === '.' && run) {
        const all = troubles(run)
        change({ step: all[(all.indexOf(chosen) + 1) % all.length] })
      }
      if (e.detail === 'Escape') change({ step: '' })
      if ((e.detail === 'j' || e.detail === 'k') && run) {
        const names = drawn ?? stepsOf(def).map((s) => s.name)
        const i = names.indexOf(chosen)
        const to = names[e.detail === 'j' ? Math.min(names.length - 1, i + 1) : Math.max(0, i - 1)]
        if (to) change({ step: to }, true)
      }
    }
    document.addEventListener('page-key', key as EventListener)
    return () => document.removeEventListener('page-key', key as EventListener)
  })
}
