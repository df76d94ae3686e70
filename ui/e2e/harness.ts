import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Browser, chromium, type Page } from 'playwright-core'

export const repository = join(dirname(fileURLToPath(import.meta.url)), '..', '..')

// A browser that is missing ends the tests in CI, and skips them elsewhere.
const places = [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].filter((p) => p !== undefined)
const found = places.find((p) => existsSync(p))
export const noBrowser = found === undefined
if (noBrowser) {
  const text = 'No Chromium was found (CHROMIUM names one): apt-get install chromium'
  if (process.env.CI) throw new Error(text)
  console.warn(text + '. The browser tests are skipped.')
}

export async function startBrowser(): Promise<Browser> {
  return chromium.launch({
    executablePath: found!,
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
  })
}

let binary = process.env.AGNT5D_BIN ?? ''

export function program(): string {
  if (!binary) {
    binary = join(mkdtempSync(join(tmpdir(), 'agnt5d-e2e-')), 'agnt5d')
    execFileSync('go', ['build', '-o', binary, './cmd/agnt5d'], { cwd: repository, stdio: 'inherit' })
  }
  return binary
}

// Kit is a daemon on a journal of its own, and the workers that a test starts.
export class Kit {
  readonly folder = mkdtempSync(join(tmpdir(), 'agnt5d-page-'))
  url = ''
  private daemon: ChildProcess | undefined
  private readonly workers: ChildProcess[] = []

  // The workers' code lies in the same folder: error texts show its path, and pictures show those.
  constructor(private readonly flags: string[] = []) {
    cpSync(join(repository, 'ui', 'e2e', 'worker.py'), join(this.folder, 'app', 'worker.py'))
    cpSync(join(repository, 'sdk', 'python', 'src', 'agnt5'), join(this.folder, 'app', 'agnt5'), { recursive: true })
  }

  async start(): Promise<this> {
    const listen = this.url ? this.url.replace('http://', '') : '127.0.0.1:0'
    const daemon = spawn(program(), ['serve', '--listen', listen, '--file', join(this.folder, 'runs.db'), '--test-clock', '--lease', '5s', ...this.flags], {
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    this.daemon = daemon
    this.url = await firstMatch(daemon, /listening on (http:\/\/\S+)/)
    return this
  }

  // show serves the page over a journal that no daemon holds, and gives its address.
  async show(file: string): Promise<string> {
    const page = spawn(program(), ['ui', '--file', file], { stdio: ['ignore', 'pipe', 'ignore'] })
    this.workers.push(page) // it ends with them
    return firstMatch(page, /read-only: (http:\/\/\S+)/)
  }

  async kill() {
    const ended = new Promise((done) => this.daemon!.once('exit', done))
    this.daemon!.kill('SIGKILL')
    await ended
  }

  // worker starts a process that serves a service, and returns when the daemon knows it.
  async worker(service: string, capacity = 20): Promise<ChildProcess> {
    const before = await this.sessions(service)
    const child = spawn('python3', [join(this.folder, 'app', 'worker.py'), service, this.folder, String(capacity)], {
      env: { ...process.env, AGNT5_URL: this.url, PYTHONDONTWRITEBYTECODE: '1' },
      stdio: ['ignore', 'ignore', 'ignore'],
    })
    this.workers.push(child)
    await until(async () => (await this.sessions(service)) > before, `a worker of ${service}`)
    return child
  }

  private async sessions(service: string): Promise<number> {
    const { workers } = (await this.ask('GET', '/v1/workers')) as { workers: { service_name: string }[] }
    return workers.filter((w) => w.service_name === service).length
  }

  // release lets a step go whose handler is hold.
  release(run: string, step: string) {
    writeFileSync(join(this.folder, `${run}.${step}`), '')
  }

  mend() {
    writeFileSync(join(this.folder, 'mended'), '')
  }

  async ask(method: string, path: string, body?: unknown, token = ''): Promise<unknown> {
    const init: RequestInit = { method, headers: token ? { Authorization: 'Bearer ' + token } : {} }
    if (body !== undefined) init.body = typeof body === 'string' ? body : JSON.stringify(body)
    const r = await fetch(this.url + path, init)
    const text = await r.text()
    if (!r.ok) throw new Error(`${method} ${path}: ${r.status} ${text}`)
    return text ? JSON.parse(text) : undefined
  }

  register(name: string, steps: unknown[]) {
    return this.ask('PUT', '/v1/workflows/' + name, { steps })
  }

  run(workflow: string, id: string, input: unknown = null) {
    return this.ask('POST', `/v1/workflows/${workflow}/runs`, { workflow_id: id, input_data: input })
  }

  async state(id: string): Promise<string> {
    return ((await this.ask('GET', `/v1/runs/${encodeURIComponent(id)}?steps=none`)) as { state: string }).state
  }

  async step(id: string, step: string): Promise<string> {
    return ((await this.ask('GET', `/v1/runs/${encodeURIComponent(id)}`)) as { steps: Record<string, { state: string }> }).steps[step]!.state
  }

  async stop() {
    for (const w of this.workers) w.kill('SIGKILL')
    this.daemon?.kill('SIGKILL')
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 3 })
  }
}

function firstMatch(child: ChildProcess, want: RegExp): Promise<string> {
  return new Promise((done, fail) => {
    let text = ''
    child.stdout!.on('data', (b: Buffer) => {
      text += b
      const m = want.exec(text)
      if (m) done(m[1]!)
    })
    child.once('exit', (code) => fail(new Error(`the daemon ended with ${code}: ${text}`)))
  })
}

export async function until(ok: () => Promise<boolean>, what: string, ms = 30_000) {
  for (const end = Date.now() + ms; ; ) {
    if (await ok().catch(() => false)) return
    if (Date.now() > end) throw new Error(`${what}: not within ${ms} ms`)
    await new Promise((done) => setTimeout(done, 20))
  }
}

export const task = (name: string, service: string, handler: string, more: Record<string, unknown> = {}) => ({ name, service_name: service, handler_name: handler, ...more })

// Visit is a page, and whatever went wrong in it.
export interface Look {
  dark?: boolean
  allow?: RegExp
  width?: number
  height?: number
}

export interface Visit {
  page: Page
  wrong: string[]
  close: () => Promise<void>
}

// visit opens the page. allow names console errors that the test causes itself.
export async function visit(browser: Browser, url: string, hash: string, o: Look = {}): Promise<Visit> {
  const context = await browser.newContext({ colorScheme: o.dark ? 'dark' : 'light', viewport: { width: o.width ?? 1360, height: o.height ?? 800 }, reducedMotion: 'reduce' })
  const page = await context.newPage()
  const wrong: string[] = []
  const note = (text: string) => {
    if (!o.allow?.test(text)) wrong.push(text)
  }
  page.on('console', (m) => (m.type() === 'error' || m.type() === 'warning') && note(`console: ${m.text()} ${m.location().url}`))
  page.on('pageerror', (e) => note('error: ' + e.message))
  page.on('request', (r) => !r.url().startsWith(url) && !/^(data|blob):/.test(r.url()) && note('request elsewhere: ' + r.url()))
  await page.addInitScript(() => {
    addEventListener('securitypolicyviolation', (e) => console.error('CSP: ' + e.violatedDirective + ' ' + e.blockedURI))
  })
  await page.goto(url + '/' + hash)
  return { page, wrong, close: () => context.close() }
}
