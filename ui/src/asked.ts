import { useEffect, useRef, useState } from 'preact/hooks'
import { Failure } from './api'
import { listen } from './live'

// passing says whether a failure may be over when one asks again: no answer came, or the daemon could not give one just then.
export const passing = (error: unknown) => error instanceof Failure && (error.status === 0 || error.status === 429 || error.status >= 500)

const delays = { first: 500, longest: 10_000 } // ms

// useAgain asks again after a failure that may pass: after a while, which grows, and as soon as the stream of events is back.
// Whatever asks the daemon for what a screen shows uses it, so that no screen keeps a failure that is over.
export function useAgain(error: unknown, again: () => void) {
  const delay = useRef(delays.first)
  useEffect(() => {
    if (!passing(error)) {
      delay.current = delays.first
      return
    }
    const t = setTimeout(again, delay.current)
    delay.current = Math.min(delays.longest, 2 * delay.current)
    const stop = listen((_, gap) => gap && again())
    return () => {
      clearTimeout(t)
      stop()
    }
  }, [error])
}

// useForgotten drops what somebody's own attempt met as soon as the stream of events is back: they may try again.
export function useForgotten(error: unknown, forget: () => void) {
  useEffect(() => {
    if (passing(error)) return listen((_, gap) => gap && forget())
  }, [error])
}

// useAsked asks whenever the key changes, and keeps the last answer while it asks again. again asks once more.
export function useAsked<T>(key: string, fetcher: (signal: AbortSignal) => Promise<T>) {
  const [got, setGot] = useState<{ key: string; value?: T; error?: unknown }>({ key: '' })
  const [turn, setTurn] = useState(0)
  const busy = useRef(false)
  useEffect(() => {
    if (!key) return
    const abort = new AbortController()
    busy.current = true
    fetcher(abort.signal).then(
      (value) => {
        if (abort.signal.aborted) return
        busy.current = false
        setGot({ key, value })
      },
      (error) => {
        if (abort.signal.aborted) return
        busy.current = false
        setGot((old) => (old.key === key && old.value !== undefined ? { ...old, error } : { key, error }))
      },
    )
    return () => abort.abort()
  }, [key, turn])
  const fresh = got.key === key
  const again = () => setTurn((n) => n + 1)
  useAgain(fresh ? got.error : undefined, again)
  return {
    value: fresh ? got.value : undefined,
    error: fresh ? got.error : undefined,
    again,
    busy,
  }
}

// usePolled asks every few seconds, for what no event tells. An answer that takes longer is waited for.
export function usePolled<T>(key: string, fetcher: (signal: AbortSignal) => Promise<T>, every = 2_000) {
  const asked = useAsked(key, fetcher)
  useEffect(() => {
    if (!key) return
    const t = setInterval(() => document.hidden || asked.busy.current || asked.again(), every)
    return () => clearInterval(t)
  }, [key, every])
  return asked
}

// useHappened asks again when there was an event whose kind begins with a word, at most once a second.
export function useHappened(kind: string, asked: { again: () => void; busy: { current: boolean } }) {
  const now = useRef(asked)
  now.current = asked
  useEffect(() => {
    let wanted = false
    let resting: number | undefined
    const again = () => {
      wanted = resting !== undefined || now.current.busy.current
      if (resting === undefined) resting = setTimeout(rested, 1_000)
      if (!wanted) now.current.again()
    }
    const rested = () => {
      resting = undefined
      if (wanted) again()
    }
    const stop = listen((events, gap) => (gap || events.some((e) => e.kind.startsWith(kind))) && again())
    return () => {
      stop()
      clearTimeout(resting)
    }
  }, [kind])
}
