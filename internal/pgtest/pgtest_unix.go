//go:build unix

package pgtest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// apart lets a Ctrl-C that ends the tests not reach the server before them.
func apart(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// children gives the processes that a process has started.
func children(pid int) (list []int) {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		b, err := os.ReadFile(path)
		_, after, ok := strings.Cut(string(b), ") ")
		var state string
		var parent int
		if err != nil || !ok {
			continue
		}
		if _, err := fmt.Sscan(after, &state, &parent); err == nil && parent == pid {
			child, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			list = append(list, child)
		}
	}
	return list
}

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
