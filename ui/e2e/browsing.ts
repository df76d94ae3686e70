import type { Browser } from 'playwright-core'
import { afterAll, afterEach, beforeAll, expect } from 'vitest'
import { Kit, type Look, startBrowser, type Visit, visit } from './harness'

// browsing gives the tests of a group their browser. A page that a test opens is closed after it and must have had no errors; the
// daemons are stopped at the end.
export function browsing() {
  const kits: Kit[] = []
  let last: Visit | undefined
  const b = {
    browser: undefined as unknown as Browser,
    daemon: async (...flags: string[]) => {
      const kit = await new Kit(flags).start()
      kits.push(kit)
      return kit
    },
    open: async (kit: Kit, hash: string, look: Look = {}) => (last = await visit(b.browser, kit.url, hash, look)).page,
    get visit() {
      return last!
    },
  }
  beforeAll(async () => {
    b.browser = await startBrowser()
  })
  afterEach(async () => {
    const wrong = last?.wrong ?? []
    await last?.close()
    last = undefined
    expect(wrong).toEqual([])
  })
  afterAll(async () => {
    await b.browser?.close()
    for (const kit of kits) await kit.stop()
  })
  return b
}
