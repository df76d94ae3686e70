package api

import (
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

// What a request may hold: a body grows with what arrives, all bodies together have a budget, and so many requests are under
// way at once. What cannot be had is `busy`, before anything is done.

// budget counts the bytes of the bodies that are held.
type budget struct {
	limit int64
	held  atomic.Int64
}

func (b *budget) take(n int64) bool {
	if b.held.Add(n) > b.limit {
		b.held.Add(-n)
		return false
	}
	return true
}

func (b *budget) give(n int64) { b.held.Add(-n) }

const (
	freeBody   = 8 << 10 // bytes of each body that need no budget: small requests go on beside large ones
	growth     = 4       // a body has room for so many times what has arrived of it
	largeBody  = 1 << 20 // over it a request is looked at before its body is read
	maxDiscard = time.Second
)

// limit is how long the body of a route may be.
func (s *Server) limit(rt *route) int64 {
	payload := int64(s.o.MaxPayload + maxEnvelope)
	switch {
	case rt.Limit == 0:
		return payload
	case rt.Outcomes:
		return max(rt.Limit, payload) // one outcome always fits
	}
	return rt.Limit
}

// take reads a request's body before anything is done for it: a client that does not send what it announced holds a
// connection, and nothing else.
func (s *Server) take(rt *route, rec *exchange, r *http.Request) error {
	if r.ContentLength == 0 {
		return nil
	}
	ctl := http.NewResponseController(rec)
	if rt.Body == nil {
		rec.Header().Set("Connection", "close")
		_ = ctl.SetReadDeadline(time.Now().Add(time.Second)) // whatever comes is thrown away
		if rt.Path == "/" {
			return nil // another error is nearer to the point
		}
		return problem("invalid_request", "the body: this route takes none")
	}
	if rt.before != nil && (r.ContentLength < 0 || r.ContentLength > largeBody) {
		if err := rt.before(s, r); err != nil {
			return &unread{err}
		}
	}
	_ = ctl.SetReadDeadline(time.Now().Add(patient))
	if err := s.read(rec, http.MaxBytesReader(rec, r.Body, s.limit(rt)), r.ContentLength); err != nil {
		var busy *unread
		if errors.As(err, &busy) {
			return err
		}
		_ = ctl.SetReadDeadline(time.Now().Add(time.Second))
		rec.Header().Set("Connection", "close")
		var large *http.MaxBytesError
		if !errors.As(err, &large) {
			err = problem("invalid_request", "the body is incomplete")
		}
		return err
	}
	r.Body = &received{r.Body, rec}
	return ctl.SetReadDeadline(time.Time{}) // net/http watches for the client's end from now on
}

// read takes a body into memory that grows with what arrives. size is what was announced; below 0: nothing was.
func (s *Server) read(rec *exchange, body io.Reader, size int64) error {
	rec.body = make([]byte, 0, minSize(freeBody, size))
	for {
		n, err := body.Read(rec.body[len(rec.body):cap(rec.body)])
		rec.body = rec.body[:len(rec.body)+n]
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		case len(rec.body) < cap(rec.body):
			continue
		}
		room := minSize(growth*int64(cap(rec.body)), size)
		more := room - int64(cap(rec.body))
		if !s.bodies.take(more) {
			rec.body = nil
			return &unread{problem("busy", "the request bodies in progress exceed "+itoa(s.bodies.limit)+" bytes together")}
		}
		rec.bytes += more
		rec.body = append(make([]byte, 0, room), rec.body...)
	}
}

// minSize is room for what is expected, and a byte more: the body's end is found by reading past it.
func minSize(room, size int64) int64 {
	if size >= 0 && size < room {
		return size + 1
	}
	return room
}

// leaveBody is called before an answer for which the body is not read: the server would wait for it, for as long as the client likes.
func leaveBody(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength == 0 {
		return
	}
	w.Header().Set("Connection", "close")
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(time.Second))
}

// unread is an error that is answered before the body was read.
type unread struct{ error }

func (e *unread) Unwrap() error { return e.error }

// drop answers, and then throws away what the client still sends, for a while: many read no answer before they have sent
// everything.
func (s *Server) drop(rec *exchange, r *http.Request, err error) {
	s.leave(rec)
	ctl := http.NewResponseController(rec)
	rec.Header().Set("Connection", "close")
	_ = ctl.EnableFullDuplex()
	s.fail(rec, err)
	_ = ctl.Flush()
	_ = ctl.SetReadDeadline(time.Now().Add(maxDiscard))
	_, _ = io.Copy(io.Discard, r.Body)
}

// enter counts a request among those under way. It reports false when there are too many.
func (s *Server) enter(rec *exchange) bool {
	select {
	case s.slots <- struct{}{}:
		rec.slots = s.slots
		return true
	default:
		return false
	}
}

// waits says that a request does nothing from now on but wait, or send what its reader takes: it does not count among those
// under way, and its body is not needed any more.
func (s *Server) waits(w http.ResponseWriter) {
	if rec, ok := w.(*exchange); ok {
		s.leave(rec)
	}
}

func (s *Server) leave(rec *exchange) {
	if rec.slots != nil {
		<-rec.slots
		rec.slots = nil
	}
	s.bodies.give(rec.bytes)
	rec.bytes, rec.body = 0, nil
}
