import { describe, expect, test, vi } from 'vitest'

vi.stubGlobal('location', { hash: '', origin: 'http://127.0.0.1:8080' })
vi.stubGlobal('addEventListener', () => {})

const { ago, bytes, command, span, word, words } = await import('./format')
const { link, parse } = await import('./route')
const { Exact, readJSON } = await import('./api')

describe('texts', () => {
  test.each([
    [0, '0 ms'],
    [999, '999 ms'],
    [1_500, '1.5 s'],
    [61_000, '1 m 1 s'],
    [7_200_000, '2 h'],
    [90_061_000, '1 d 1 h'],
    [-5, '0 ms'],
  ])('%d ms is %s', (ms, text) => expect(span(ms)).toBe(text))

  test('times before and after now', () => {
    const now = Date.parse('2026-11-23T08:00:00Z')
    expect(ago('2026-11-23T07:59:00Z', now)).toBe('1 m ago')
    expect(ago('2026-11-23T08:01:00Z', now)).toBe('in 1 m')
    expect(ago('no time', now)).toBe('no time')
  })

  test('bytes', () => expect([bytes(1023), bytes(1536), bytes(300 * 1024)]).toEqual(['1023 B', '1.5 KiB', '300 KiB']))
})

describe('command lines', () => {
  test.each(['plain', 'a b', "it's", '$(rm -rf /)', 'x;y', '', 'run[1]#2', '`id`', '"'])('%s comes back from its word', (text) => expect(words(word(text))).toEqual([text]))

  test('what the daemon writes is read', () => {
    expect(words("agnt5d signal 'a/b[1]#2' approved")).toEqual(['agnt5d', 'signal', 'a/b[1]#2', 'approved'])
  })

  test('a daemon elsewhere is named', () => {
    expect(command('retry', 'run[1]')).toBe("agnt5d retry 'run[1]'")
    vi.stubGlobal('location', { hash: '', origin: 'http://db:9000' })
    expect(command('retry', 'r')).toBe('agnt5d retry r --url http://db:9000')
  })
})

describe('places', () => {
  test.each(['a/b', 'a%2Fb', '[x]#1', 'ä ?&='])('run %s comes back from its address', (id) => {
    const p = parse(link('run', id, 'events', { at: '17', step: 'a b' }))
    expect([p.screen, p.id, p.tab, p.query.get('at'), p.query.get('step')]).toEqual(['run', id, 'events', '17', 'a b'])
  })

  test('an empty address shows the runs', () => expect(parse('').screen).toBe('runs'))
  test('an address that is no encoding is taken as it is', () => expect(parse('#/run/%zz').id).toBe('%zz'))
})

test('numbers of payloads keep their digits', () => {
  const got = readJSON('{"big": 12345678901234567890, "small": 7, "float": 1.50}') as Record<string, unknown>
  expect(got.small).toBe(7)
  const tells = JSON.parse('1', (_, __, ...at: unknown[]) => at.length > 0) as boolean // an engine that hands over the source of a number
  if (tells) expect((got.big as InstanceType<typeof Exact>).text).toBe('12345678901234567890')
})
