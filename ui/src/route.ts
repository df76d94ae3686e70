import { computed, signal } from '@preact/signals'

// A place in the page is written after the # of its address: #/SCREEN/ID/TAB?filters. Whatever a person would want to send to
// a colleague stands in it.
export interface Place {
  screen: string
  id: string
  tab: string
  query: URLSearchParams
}

export function parse(hash: string): Place {
  const [path = '', query = ''] = cut(hash.replace(/^#?\/?/, ''), '?')
  const [screen = '', id = '', tab = ''] = path.split('/').map(decode)
  return { screen: screen || 'runs', id, tab, query: new URLSearchParams(query) }
}

function cut(text: string, at: string): [string, string] {
  const i = text.indexOf(at)
  return i < 0 ? [text, ''] : [text.slice(0, i), text.slice(i + 1)]
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}

export function link(screen: string, id = '', tab = '', query?: URLSearchParams | Record<string, string>): string {
  const path = [screen, id, tab].map(encodeURIComponent).join('/').replace(/\/+$/, '')
  const text = new URLSearchParams(query).toString()
  return '#/' + path + (text && '?' + text)
}

const hash = signal(location.hash)
addEventListener('hashchange', () => (hash.value = location.hash))

export const place = computed(() => parse(hash.value))

// go changes the address; replace leaves no entry in the history, for what changes with every key.
export function go(to: string, replace = false) {
  if (replace) history.replaceState(null, '', to)
  else history.pushState(null, '', to)
  hash.value = to // at once: the event of the browser comes later, and the next change starts from here
}

// change sets some parameters of the present place; an empty one goes.
export function change(params: Record<string, string | number | undefined>, replace = false) {
  const p = place.value
  const query = new URLSearchParams(p.query)
  for (const [key, value] of Object.entries(params)) {
    if (value === undefined || value === '') query.delete(key)
    else query.set(key, String(value))
  }
  go(link(p.screen, p.id, p.tab, query), replace)
}
