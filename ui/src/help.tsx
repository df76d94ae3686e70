import { useEffect, useRef } from 'preact/hooks'

const keys: [string, string][] = [
  ['j  k', 'next, previous row or step'],
  ['enter', 'open the chosen run'],
  ['x', 'choose the row, for what is done to many'],
  ['/', 'search'],
  ['[  ]', 'one event back, one on'],
  ['space', 'play the events, pause'],
  ['.', 'the step that failed or holds the run up; again: the next one'],
  ['esc', 'close'],
  ['?', 'this list'],
]

export function Help({ close }: { close: () => void }) {
  const box = useRef<HTMLDialogElement>(null)
  useEffect(() => box.current?.showModal(), [])
  return (
    <dialog ref={box} onClose={close} aria-labelledby="help-title">
      <h2 id="help-title">Keys</h2>
      <table>
        <tbody>
          {keys.map(([key, what]) => (
            <tr><td><kbd>{key}</kbd></td><td>{what}</td></tr>
          ))}
        </tbody>
      </table>
      <div class="buttons"><button type="button" onClick={close}>Close</button></div>
    </dialog>
  )
}
