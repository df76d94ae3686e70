import { useState } from 'preact/hooks'
import { ask } from './api'
import { Problem } from './bits'

// Login is shown when the daemon wants an access token. The token becomes a cookie that scripts cannot read.
export function Login() {
  const [token, setToken] = useState('')
  const [error, setError] = useState<unknown>()
  const send = async (e: Event) => {
    e.preventDefault()
    try {
      await ask('/v1/session', { method: 'POST', body: { token: token.trim() } })
      location.reload()
    } catch (failure) {
      setError(failure)
    }
  }
  return (
    <main class="login">
      <form onSubmit={send}>
        <h1>Sign in</h1>
        <p>This daemon wants an access token. One is made with <code>agnt5d token create NAME --scope read</code>.</p>
        <label class="field"><span>Access token</span><input type="password" autocomplete="off" value={token} onInput={(e) => setToken(e.currentTarget.value)} /></label>
        <Problem error={error} />
        <div class="buttons"><button type="submit" class="primary" disabled={!token.trim()}>Sign in</button></div>
      </form>
    </main>
  )
}
