package api

import (
	"bytes"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/model"
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
	from, err := eventsAfter(r, stream)
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
	out.NextCursor = after(inEvents, out.NextAfter)
	return s.reply(w, http.StatusOK, out)
}

// Times of an event stream.
const (
	keepAlive   = 15 * time.Second // a comment goes out when nothing else has for so long
	slowestRead = 30 * time.Second // a reader who does not take an event for so long is cut off
)

// follow is an event stream. Events are read from the journal as the reader takes them: a slow one delays only itself.
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
	s.waits(w)
	ctx, cancel := s.context(r)
	defer cancel()
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no")
	w.WriteHeader(http.StatusOK)
	ctl := http.NewResponseController(w)
	send := func(text []byte) error {
		if err := ctl.SetWriteDeadline(time.Now().Add(slowestRead)); err != nil {
			return err
		}
		if _, err := w.Write(text); err != nil {
			return err
		}
		return nil
	}
	if err := send([]byte(": from " + strconv.FormatUint(from, 10) + "\n\n")); err != nil {
		return err
	}
	if err := ctl.Flush(); err != nil {
		return err
	}
	events := make(chan engine.Event, 64)
	ended := make(chan error, 1)
	go func() {
		ended <- s.eng.Watch(ctx, engine.WatchFilter{Run: run, After: from}, func(e engine.Event) error {
			select {
			case events <- e:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
		close(events)
	}()
	quiet := time.NewTicker(keepAlive)
	defer quiet.Stop()
	for {
		select {
		case e, ok := <-events:
			if !ok {
				return <-ended
			}
			if err := s.sendEvents(e, named, events, send, ctl); err != nil {
				return err
			}
			quiet.Reset(keepAlive)
		case <-quiet.C:
			if err := send([]byte(":\n\n")); err != nil {
				return err
			}
			if err := ctl.Flush(); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// lineEnd is what ends a line of an event stream: a carriage return alone, too.
func lineEnd(r rune) bool { return r == '\n' || r == '\r' }

// sendEvents sends an event, and with it whatever else is ready, in one flush. A named one has its kind as its event field: a browser
// hands it to those who listen to that kind, and not to onmessage.
func (s *Server) sendEvents(e engine.Event, named bool, more <-chan engine.Event, send func([]byte) error, ctl *http.ResponseController) error {
	var buf []byte
	for {
		data, err := model.Marshal(e)
		if err != nil {
			return err
		}
		buf = fmt.Appendf(buf, "id: %s\n", after(inEvents, e.Seq))
		if named {
			buf = fmt.Appendf(buf, "event: %s\n", e.Kind)
		}
		for line := range bytes.FieldsFuncSeq(data, lineEnd) { // a payload may hold line breaks; between JSON tokens they mean nothing
			buf = append(append(append(buf, "data: "...), line...), '\n')
		}
		buf = append(buf, '\n')
		if len(buf) > 64<<10 {
			break
		}
		next, ok := engine.Event{}, false
		select {
		case next, ok = <-more:
		default:
		}
		if !ok {
			break
		}
		e = next
	}
	if err := send(buf); err != nil {
		return err
	}
	return ctl.Flush()
}
