package client

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/agnt5/agnt5d/internal/pool"
	"github.com/agnt5/agnt5d/internal/wire"
	"github.com/agnt5/agnt5d/model"
	"github.com/agnt5/agnt5d/worker"
)

// source is the daemon as a worker's pool sees it: what they say to each other, in msgpack. Exchanges go over a stream where the daemon
// has one, all else, and they too where it has none, over HTTP.
type source struct {
	w       *Worker
	opening chan struct{} // capacity 1: holds a token while somebody looks at what follows
	stream  *stream       // nil: none was opened yet, or plain
	plain   bool          // the daemon was found to have none since the worker joined
}

func newSource(w *Worker) *source { return &source{w: w, opening: make(chan struct{}, 1)} }

// over gives the stream for a session, nil if its exchanges go over HTTP.
func (s *source) over(ctx context.Context, session string) (*stream, error) {
	select {
	case s.opening <- struct{}{}:
		defer func() { <-s.opening }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if s.plain || s.stream != nil && s.stream.usable(session) {
		return s.stream, nil
	}
	if s.stream != nil {
		s.stream.end()
	}
	st, err := s.w.c.open(ctx, session)
	s.stream, s.plain = st, st == nil && err == nil
	return st, err
}

const joinTimeout = 10 * time.Second

// Join opens the session, or takes it up again.
func (s *source) Join(ctx context.Context, session string, tokens []string) (pool.Session, error) {
	w := s.w
	in := &wire.Register{ServiceName: w.service, ServiceVersion: w.o.Version, Handlers: w.names, Capacity: w.o.Capacity, Workflows: w.flows, WorkerID: session, Tokens: tokens, Publish: w.o.Publish, PID: os.Getpid(), Schedules: w.agenda, References: true}
	in.Host, _ = os.Hostname()
	var got wire.Registered
	if err := s.call(ctx, joinTimeout, "", in, &got); err != nil {
		return pool.Session{}, err
	}
	s.hangUp() // the daemon that answers may be another one
	how := "connected"
	if session != "" {
		how = "came back"
	}
	w.o.Logger.Info("worker "+how, "service", w.service, "daemon", w.c.shown, "handlers", w.names, "worker", got.WorkerID)
	for _, other := range got.NotCurrent {
		w.o.Logger.Warn(other.String(), "service", w.service, "workflow", other.Workflow, "version", other.Version, "current", other.Current)
	}
	for _, left := range got.NotScheduled {
		w.o.Logger.Warn(left.String(), "service", w.service, "schedule", left.Schedule)
	}
	return pool.Session{ID: got.WorkerID, Heartbeat: ms(got.HeartbeatMS), MaxWait: ms(got.MaxWaitMS), Lost: got.Lost, Logs: got.LogBytes > 0}, nil
}

func ms(n int64) time.Duration { return time.Duration(n) * time.Millisecond }

// Exchange is a poll.
func (s *source) Exchange(ctx context.Context, session string, r pool.Request) (pool.Answer, error) {
	limit := time.Minute // what is recorded waits for a disk
	if r.Max > 0 {
		limit = r.Wait + 15*time.Second
	}
	ctx, stop := context.WithTimeout(ctx, limit)
	defer stop()
	in := &wire.Poll{Seq: r.Seq, Max: r.Max, WaitMS: r.Wait.Milliseconds(), Outcomes: r.Outcomes}
	var got wire.Polled
	err := s.exchange(ctx, session, in, &got)
	if gone := (*Unreachable)(nil); errors.As(err, &gone) && gone.Err == errStreamOver && ctx.Err() == nil {
		err = s.exchange(ctx, session, in, &got) // it is the same poll, and the daemon may well be there
	}
	for _, t := range got.Tasks {
		if len(t.References) > 0 {
			t.OnRead(s.reader(t))
		}
	}
	return pool.Answer{Tasks: got.Tasks, Results: got.Results, Cancelled: got.Cancelled}, err
}

// exchange sends a poll over the stream, or over HTTP.
func (s *source) exchange(ctx context.Context, session string, in *wire.Poll, got *wire.Polled) error {
	st, err := s.over(ctx, session)
	switch {
	case err != nil:
		return err
	case st != nil:
		return st.exchange(ctx, in, got)
	}
	return s.call(ctx, time.Hour, workerPath(session, "/poll"), in, got) // ctx ends before
}

// reader reads outputs that a task refers to, by showing its lease token.
func (s *source) reader(t *worker.Task) func(ctx context.Context, step string) (json.RawMessage, error) {
	return func(ctx context.Context, step string) (out json.RawMessage, err error) {
		c := s.w.c
		err = c.do(ctx, &request{method: http.MethodGet, path: path("v1", "runs", t.WorkflowID, "steps", step, "output"), header: map[string]string{leaseHeader: t.Token},
			raw: func(resp *http.Response) error {
				b, err := whole(resp)
				if err != nil {
					return &Unreachable{c.shown, err}
				}
				out = b
				return nil
			}})
		return out, err
	}
}

// leaseHeader carries the lease token of a task.
const leaseHeader = "Agnt5-Lease-Token"

// Heartbeat renews leases.
func (s *source) Heartbeat(ctx context.Context, session string, beats []pool.Beat) ([]string, error) {
	in := &wire.Heartbeat{Tokens: make([]wire.Beat, len(beats))}
	for i, b := range beats {
		in.Tokens[i] = wire.Beat(b)
	}
	var got wire.Beaten
	err := s.call(ctx, time.Minute, workerPath(session, "/heartbeat"), in, &got)
	return got.Gone, err
}

// Leave ends the session.
func (s *source) Leave(ctx context.Context, session string) error {
	s.hangUp()
	return s.w.c.once(ctx, &request{method: http.MethodDelete, path: "/v1/workers" + workerPath(session, "")})
}

// hangUp ends the stream, if there is one. The next exchange asks for another.
func (s *source) hangUp() {
	s.opening <- struct{}{}
	if s.stream != nil {
		s.stream.end()
	}
	s.stream, s.plain = nil, false
	<-s.opening
}

func workerPath(session, what string) string { return "/" + url.PathEscape(session) + what }

// call sends one message in msgpack and reads the answer, within limit.
func (s *source) call(ctx context.Context, limit time.Duration, path string, in, out any) error {
	body, err := wire.Encode(nil, wire.Msgpack, in)
	if err != nil {
		return err
	}
	ctx, stop := context.WithTimeout(ctx, limit)
	defer stop()
	c := s.w.c
	return c.once(ctx, &request{method: http.MethodPost, path: "/v1/workers" + path, body: body,
		header: map[string]string{"Content-Type": wire.Msgpack, "Accept": wire.Msgpack},
		raw: func(resp *http.Response) error {
			if resp.StatusCode == http.StatusNoContent {
				return nil
			}
			b, err := whole(resp)
			if err != nil {
				return &Unreachable{c.shown, err}
			}
			return wire.Decode(b, wire.Msgpack, out)
		}})
}

// Kind says what an error means for the worker.
func (s *source) Kind(err error) pool.Kind {
	var p *model.Problem
	switch {
	case again(err) || errors.Is(err, context.DeadlineExceeded):
		return pool.Again
	case !errors.As(err, &p):
		return pool.Strange
	case p.Code == notHTTP || p.Code == notHTTPS:
		return pool.Strange
	case p.Code == "worker_not_found":
		return pool.NoSession
	case p.Code == "disk_full" || p.Status >= 500: // it goes on when there is space
		return pool.Again
	case p.Status == http.StatusUnauthorized || p.Status == http.StatusForbidden:
		return pool.Denied
	case p.Status >= 400:
		return pool.Refused
	}
	return pool.Strange
}
