package api

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/internal/cursor"
)

// logBytes is about how much of logs one answer has; whole attempts are given.
const logBytes = 4 << 20

type logList struct {
	Logs       []engine.AttemptLog `json:"logs"`
	NextCursor string              `json:"next_cursor,omitempty"` // absent: there are no more
}

func (s *Server) runLogs(w http.ResponseWriter, r *http.Request) error { return s.logs(w, r, "") }

func (s *Server) stepLogs(w http.ResponseWriter, r *http.Request) error {
	return s.logs(w, r, r.PathValue("step"))
}

func (s *Server) logs(w http.ResponseWriter, r *http.Request, step string) error {
	var after engine.LogPlace
	place, err := placeIn(r, cursor.Logs)
	if err != nil {
		return err
	}
	if place != "" {
		attempt, name, _ := strings.Cut(place, ".")
		n, err := strconv.ParseUint(attempt, 36, 32)
		if err != nil || name == "" {
			return notOurs("cursor", r.URL.Query().Get("cursor"))
		}
		after = engine.LogPlace{Step: name, Attempt: uint32(n)}
	}
	all, err := s.eng.Logs(r.Context(), r.PathValue("id"), step, after, logBytes)
	if err != nil {
		return err
	}
	out := logList{Logs: all}
	size := 0
	for i := range all {
		size += len(all[i].Text)
	}
	if size > logBytes {
		last := &all[len(all)-1]
		out.NextCursor = cursor.To(cursor.Logs, strconv.FormatUint(uint64(last.Attempt), 36)+"."+last.Step)
	}
	return s.reply(w, http.StatusOK, out)
}
