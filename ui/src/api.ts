import { signal } from '@preact/signals'

// Failure is an answer of the daemon that is no success, or that there was none (status 0).
export class Failure extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly help = '',
    readonly errors: { code: string; step?: string; detail: string }[] = [],
  ) {
    super(message)
  }
}

export const signedOut = signal(false)

// Exact is a number of a payload that a JavaScript number cannot hold: its digits are kept as they came.
export class Exact {
  constructor(readonly text: string) {}
}

type Source = { source?: string }

// readJSON keeps the digits of every number.
export function readJSON(text: string): unknown {
  if (!/\d{16}|[eE.]\d/.test(text)) return JSON.parse(text)
  const exact = (_: string, value: unknown, at?: Source) =>
    typeof value === 'number' && at?.source !== undefined && String(value) !== at.source ? new Exact(at.source) : value
  return JSON.parse(text, exact as (key: string, value: unknown) => unknown)
}

export const part = encodeURIComponent

export interface Asked {
  method?: string
  body?: unknown
  text?: string // a body that is not JSON
  signal?: AbortSignal
  etag?: string
}

export interface Answer<T> {
  value: T
  etag: string
  status: number
}

export async function ask<T>(path: string, o: Asked = {}): Promise<Answer<T>> {
  const headers: Record<string, string> = { Accept: 'application/json' }
  const init: RequestInit = { method: o.method ?? 'GET', headers, credentials: 'same-origin', cache: 'no-store' }
  if (o.body !== undefined) {
    headers['Content-Type'] = 'application/json'
    init.body = JSON.stringify(o.body)
  } else if (o.text !== undefined) {
    headers['Content-Type'] = 'application/json'
    init.body = o.text
  }
  if (o.signal) init.signal = o.signal
  const { r, text } = await send(path, init)
  if (!r.ok) throw failureOf(r.status, text)
  return { value: (text ? readJSON(text) : undefined) as T, etag: r.headers.get('ETag') ?? '', status: r.status }
}

// send gives the whole answer, whatever it is. A daemon that goes in the middle of one has not answered.
export async function send(path: string, init: RequestInit): Promise<{ r: Response; text: string }> {
  try {
    const r = await fetch(path, init)
    return { r, text: await r.text() }
  } catch (e) {
    if (init.signal?.aborted) throw e
    throw new Failure(0, 'unreachable', 'the daemon does not answer', 'Is it running? The page goes on by itself when it is back.')
  }
}

export function failureOf(status: number, text: string): Failure {
  if (status === 401) signedOut.value = true
  try {
    const p = JSON.parse(text)
    return new Failure(status, String(p.code), String(p.detail || p.title), p.help && String(p.help), Array.isArray(p.errors) ? p.errors : [])
  } catch {
    return new Failure(status, 'http_' + status, 'the daemon answered ' + status)
  }
}

export const get = async <T>(path: string, signal?: AbortSignal): Promise<T> => (await ask<T>(path, signal ? { signal } : {})).value

export const runPath = (id: string) => '/v1/runs/' + part(id)
