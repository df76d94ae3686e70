package api

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/agnt5/agnt5d/internal/wire"
	"github.com/agnt5/agnt5d/model"
)

// maxFrames is how many polls of one stream may be under way at once. One more is read when one of them has its answer.
const maxFrames = 16

// pollPath is the route that a frame of a stream stands for.
const pollPath = "/v1/workers/{id}/poll"

// workerStream is a worker's own connection, over which its polls go.
type workerStream struct {
	s       *Server
	r       *http.Request // that opened it
	limit   int64         // bytes of a frame's body
	conn    net.Conn
	in      io.Reader
	waits   context.Context // of polls that only wait: ended when the worker or the daemon goes
	under   chan struct{}   // capacity maxFrames: a token for each poll under way
	writing sync.Mutex      // held while an answer is written
}

// openStream makes a worker's connection a stream, and serves it until one of both sides ends it.
func (s *Server) openStream(w http.ResponseWriter, r *http.Request) error {
	if err := s.known(r); err != nil {
		return err
	}
	s.streams.Add(1)
	defer s.streams.Done()
	if s.stopping.Load() {
		return problem("shutting_down", "")
	}
	if !strings.EqualFold(r.Header.Get("Upgrade"), wire.Stream) {
		return problem("invalid_request", "the header Upgrade is "+quote(r.Header.Get("Upgrade"))+", want "+wire.Stream)
	}
	ctx, cancel := s.context(r)
	defer cancel()
	s.waits(w)
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return problem("invalid_request", "the connection cannot be upgraded: "+err.Error()+"; send the request over HTTP/1.1")
	}
	defer conn.Close()
	if rec, ok := w.(*exchange); ok {
		rec.status = http.StatusSwitchingProtocols
	}
	_ = conn.SetDeadline(time.Now().Add(patient))
	if _, err := io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: "+wire.Stream+"\r\n\r\n"); err != nil {
		return nil // the worker is gone
	}
	_ = conn.SetDeadline(time.Time{})
	early, _ := rw.Reader.Peek(rw.Reader.Buffered()) // that reader would end the request's context with the connection
	in := bufio.NewReader(io.MultiReader(bytes.NewReader(bytes.Clone(early)), conn))
	st := &workerStream{s: s, r: r, limit: s.limit(&route{Limit: minPollBody, Outcomes: true}), conn: conn, in: in, waits: ctx, under: make(chan struct{}, maxFrames)}
	forget := context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Now()) }) // no more is taken
	defer forget()
	st.serve()
	cancel()
	for range maxFrames { // what is under way is answered
		st.under <- struct{}{}
	}
	return nil
}

// serve reads polls until there are no more.
func (st *workerStream) serve() {
	for {
		st.under <- struct{}{}
		head, err := wire.ReadFrame(st.in)
		if err != nil {
			<-st.under
			return
		}
		rec := &exchange{}
		if err := st.read(rec, head); err != nil {
			var early *unread
			if errors.As(err, &early) {
				st.answer(head.Number, nil, st.s.problemOf(early.error))
			}
			<-st.under
			return // what is left of the body stands before the next frame
		}
		go st.poll(rec, head.Number)
	}
}

// read reads a frame's body, as that of a request is read. An error that is to be answered is an *unread.
func (st *workerStream) read(rec *exchange, head wire.Frame) error {
	if int64(head.Length) > st.limit {
		return &unread{&http.MaxBytesError{Limit: st.limit}}
	}
	_ = st.conn.SetReadDeadline(time.Now().Add(patient))
	err := st.s.read(rec, io.LimitReader(st.in, int64(head.Length)), int64(head.Length))
	if err == nil && len(rec.body) < int(head.Length) {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		st.s.leave(rec)
		return err
	}
	_ = st.conn.SetReadDeadline(time.Time{})
	if st.waits.Err() != nil { // it ended meanwhile
		_ = st.conn.SetReadDeadline(time.Now())
	}
	return nil
}

// poll answers one poll.
func (st *workerStream) poll(rec *exchange, number uint32) {
	defer func() { <-st.under }()
	defer st.s.leave(rec)
	began, status := time.Now(), http.StatusInternalServerError
	defer func() {
		if p := recover(); p != nil {
			st.s.log.Error("panic in a handler", "route", pollPath, "panic", p, "stack", string(debug.Stack()))
			st.answer(number, nil, st.s.problemOf(problem("internal", "")))
		}
		st.s.metrics.request(http.MethodPost+" "+pollPath, status, time.Since(began))
	}()
	got, err := st.exchange(rec)
	var no *model.Problem
	switch {
	case err != nil:
		no = st.s.problemOf(cmp.Or(st.s.valid(st.r), err))
		status = no.Status
	case got == nil:
		status = http.StatusNoContent
	default:
		status = http.StatusOK
	}
	st.answer(number, got, no)
}

// exchange does what the poll asks for. Without an answer there is nothing.
func (st *workerStream) exchange(rec *exchange) (*wire.Polled, error) {
	if err := st.s.valid(st.r); err != nil {
		return nil, err
	}
	var in wire.Poll
	if err := wire.Decode(rec.body, wire.Msgpack, &in); err != nil {
		return nil, problem("invalid_request", err.Error())
	}
	if !st.s.enter(rec) {
		return nil, problem("busy", "")
	}
	return st.s.poll(rec, st.waits, st.r, &in)
}

// answer sends what came of a poll. A worker who does not take it in time is cut off.
func (st *workerStream) answer(number uint32, got *wire.Polled, no *model.Problem) {
	room := st.s.rooms.Get().(*[]byte)
	defer st.s.rooms.Put(room)
	frame := append((*room)[:0], make([]byte, wire.FrameHead)...)
	status, err := http.StatusNoContent, error(nil)
	switch {
	case no != nil:
		status = no.Status
		text, _ := model.Marshal(no)
		frame = append(frame, text...)
	case got != nil:
		status = http.StatusOK
		if frame, err = wire.Encode(frame, wire.Msgpack, got); err != nil {
			st.s.log.Error("an answer to a worker cannot be written", "error", err)
			_ = st.conn.Close()
			return
		}
	}
	if cap(frame) <= 4<<20 {
		*room = frame
	}
	wire.Frame{Number: number, Status: uint32(status)}.Put(frame)
	st.writing.Lock()
	defer st.writing.Unlock()
	_ = st.conn.SetWriteDeadline(time.Now().Add(patient))
	if _, err := st.conn.Write(frame); err != nil {
		_ = st.conn.Close()
	}
}

// Wait waits until the streams of workers have ended, after Stop, and for no longer than ctx.
func (s *Server) Wait(ctx context.Context) {
	over := make(chan struct{})
	go func() {
		s.streams.Wait()
		close(over)
	}()
	select {
	case <-over:
	case <-ctx.Done():
	}
}
