//go:build unix

package pgtest

import (
	"os/exec"
	"syscall"
)

// apart lets a Ctrl-C that ends the tests not reach the server before them.
func apart(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// end ends the server: at once and orderly (SIGINT, fast shutdown), or not (SIGKILL to all its processes).
func (s *Server) end(orderly bool) {
	if s.cmd == nil {
		return
	}
	if orderly {
		_ = s.cmd.Process.Signal(syscall.SIGINT)
	} else {
		_ = s.cmd.Process.Signal(syscall.SIGSTOP) // it starts no more of them
		for _, pid := range append(children(s.cmd.Process.Pid), s.cmd.Process.Pid) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
	_ = s.cmd.Wait()
	s.cmd = nil
}
