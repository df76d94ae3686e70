// Texts for people.

const units: [number, string][] = [
  [86_400_000, 'd'],
  [3_600_000, 'h'],
  [60_000, 'm'],
  [1_000, 's'],
]

// span says how long so many milliseconds are, with at most two units.
export function span(ms: number): string {
  if (ms < 0) ms = 0
  if (ms < 1_000) return Math.round(ms) + ' ms'
  if (ms < 10_000) return (ms / 1_000).toFixed(1) + ' s'
  for (let i = 0; i < units.length; i++) {
    const [size, name] = units[i]!
    if (ms < size) continue
    const whole = Math.floor(ms / size)
    const next = units[i + 1]
    const rest = next && Math.floor((ms % size) / next[0])
    return whole + ' ' + name + (rest ? ' ' + rest + ' ' + next[1] : '')
  }
  return ''
}

export function between(from: string, to: string | undefined, now: number): string {
  return span((to ? Date.parse(to) : now) - Date.parse(from))
}

// ago says how long ago a time was, or in how long it will be.
export function ago(time: string, now: number): string {
  const ms = now - Date.parse(time)
  if (Number.isNaN(ms)) return time
  if (ms < -1_000) return 'in ' + span(-ms)
  return ms < 2_000 ? 'now' : span(ms) + ' ago'
}

const pad = (n: number, width = 2) => String(n).padStart(width, '0')

// clock is the local time of day with milliseconds.
export function clock(time: string): string {
  const d = new Date(time)
  return `${pad(d.getHours())}:${pad(d.getMinutes())}:${pad(d.getSeconds())}.${pad(d.getMilliseconds(), 3)}`
}

export function dateTime(time: string): string {
  const d = new Date(time)
  if (Number.isNaN(d.getTime())) return time
  return `${d.getFullYear()}-${pad(d.getMonth() + 1)}-${pad(d.getDate())} ${pad(d.getHours())}:${pad(d.getMinutes())}:${pad(d.getSeconds())}`
}

// localTimes puts the local time where a sentence of the daemon has one in UTC.
export function localTimes(text: string): string {
  return text.replace(/\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z/g, dateTime)
}

export function bytes(n: number): string {
  if (n < 1024) return n + ' B'
  for (const unit of ['KiB', 'MiB', 'GiB']) {
    n /= 1024
    if (n < 1024) return n.toFixed(n < 10 ? 1 : 0) + ' ' + unit
  }
  return Math.round(n) + ' GiB'
}

export function count(n: number, one: string, many = one + 's'): string {
  return n.toLocaleString('en') + ' ' + (n === 1 ? one : many)
}

// word is a text as a shell takes it for one word.
export function word(text: string): string {
  return /^[A-Za-z0-9_./:@%+=,-]+$/.test(text) ? text : "'" + text.replaceAll("'", `'\\''`) + "'"
}

// words splits a command line as a shell does, as far as the daemon writes them: single quotes and backslashes.
export function words(line: string): string[] {
  const out: string[] = []
  let at = ''
  let some = false
  for (let i = 0; i < line.length; i++) {
    const c = line[i]!
    if (c === "'") {
      const end = line.indexOf("'", i + 1)
      at += line.slice(i + 1, end < 0 ? undefined : end)
      some = true
      i = end < 0 ? line.length : end
    } else if (c === '\\') {
      at += line[++i] ?? ''
      some = true
    } else if (c === ' ') {
      if (some) out.push(at)
      at = ''
      some = false
    } else {
      at += c
      some = true
    }
  }
  if (some) out.push(at)
  return out
}

// command is a line to paste into a shell: it names the daemon when that is not where the program looks by itself.
export function command(...parts: string[]): string {
  const where = location.origin === 'http://127.0.0.1:8080' || location.origin === 'http://localhost:8080' ? [] : ['--url', location.origin]
  return ['agnt5d', ...parts, ...where].map(word).join(' ')
}
