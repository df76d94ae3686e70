package api

import (
	"fmt"
	"net/http"

	"github.com/agnt5/agnt5d/engine"
)

// resumeAllBody says how fast the hold of a daemon that was started with --careful ends, and why.
type resumeAllBody struct {
	PerSecond int    `json:"per_second,omitempty"` // 0: as fast as it goes
	Reason    string `json:"reason,omitempty"`
}

func (s *Server) showHold(w http.ResponseWriter, _ *http.Request) error {
	h, err := s.eng.Holding()
	if err != nil {
		return err
	}
	return s.reply(w, http.StatusOK, h)
}

func (s *Server) resumeAll(w http.ResponseWriter, r *http.Request) error {
	var in resumeAllBody
	if err := s.decode(r, &in); err != nil {
		return err
	}
	h, err := s.eng.ResumeAll(r.Context(), in.PerSecond, in.Reason)
	if err != nil {
		return err
	}
	return s.reply(w, http.StatusAccepted, h)
}

// heldNow tells of a hold where somebody looks whether all is well.
func heldNow(h engine.Hold) string {
	if !h.Resuming {
		return fmt.Sprintf("started with --careful: runs that are held: %d. Nothing is handed out, and no timer fires, until \"agnt5d resume --all\"", h.Runs)
	}
	return fmt.Sprintf("the runs are being resumed: %d are, %d are held still", h.Resumed, h.Runs)
}
