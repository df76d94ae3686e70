package api

import (
	"net/http"
	"strings"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/internal/cursor"
)

type eventList struct {
	Events     []engine.Event `json:"events"`
	NextCursor string         `json:"next_cursor"` // of what follows, now or later
	NextAfter  uint64         `json:"next_after"`  // the same as a sequence; next_cursor goes on when a journal is more than one file
}

func (s *Server) runEvents(w http.ResponseWriter, r *http.Request) error {
	return s.events(w, r, r.PathValue("id"))
}

func (s *Server) allEvents(w http.ResponseWriter, r *http.Request) error { return s.events(w, r, "") }

// events answers a page of events, of one run or of all, or follows them live.
func (s *Server) events(w http.ResponseWriter, r *http.Request, run string) error {
	stream := strings.Contains(r.Header.Get("Accept"), "text/event-stream")
	from, err := s.eventsAfter(r, stream)
	if err != nil {
		return err
	}
	q := r.URL.Query()
	if stream {
		return s.follow(w, r, run, from, q.Get("named") == "true")
	}
	n := number(q.Get("limit"), defaultPage)
	out := eventList{Events: []engine.Event{}, NextAfter: from}
	if run == "" {
		events, next, err := s.eng.Feed(r.Context(), from, n)
		if err != nil {
			return err
		}
		out.Events, out.NextAfter = append(out.Events, events...), next
	} else {
		events, err := s.eng.History(r.Context(), run, from, n)
		if err != nil {
			return err
		}
		out.Events = append(out.Events, events...)
		if len(events) > 0 {
			out.NextAfter = events[len(events)-1].Seq
		}
	}
	out.NextCursor = after(s.history, cursor.Events, out.NextAfter)
	return s.reply(w, http.StatusOK, out)
}

// follow answers an event stream, of one run or of all.
func (s *Server) follow(w http.ResponseWriter, r *http.Request, run string, from uint64, named bool) error {
	if run != "" {
		st, err := s.eng.Status(r.Context(), run, engine.NoSteps())
		if err != nil {
			return err
		}
		if st.CompletedAt != "" {
			more, err := s.eng.History(r.Context(), run, from, 1)
			if err != nil {
				return err
			}
			if len(more) == 0 { // all has been given: a browser stops asking on 204
				w.WriteHeader(http.StatusNoContent)
				return nil
			}
		}
	}
	if r.Method == http.MethodHead {
		w.Header().Set("Content-Type", "text/event-stream")
		return nil
	}
	ctx, cancel := s.context(r)
	defer cancel()
	out, err := s.stream(w, r, from, named)
	if err != nil {
		return err
	}
	if run == "" {
		return s.followAll(ctx, out, from)
	}
	return s.followRun(ctx, out, run, from)
}
