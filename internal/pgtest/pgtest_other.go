//go:build !unix

package pgtest

import "os/exec"

func apart(*exec.Cmd) {}

func (s *Server) end(bool) {
	if s.cmd != nil {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
		s.cmd = nil
	}
}
