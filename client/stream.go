package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"

	"github.com/agnt5/agnt5d/internal/wire"
	"github.com/agnt5/agnt5d/model"
)

// stream is a worker's own connection to the daemon, over which its exchanges go: an HTTP request each would cost more than what is in it.
type stream struct {
	conn    io.ReadWriteCloser
	shown   string // of the daemon, to people
	session string
	writing sync.Mutex // held while a frame is written

	mu      sync.Mutex
	number  uint32                   // of the last request
	waiting map[uint32]chan<- framed // by the number of their request
	over    bool                     // it can be used no more
}

// framed is an answer that came over a stream.
type framed struct {
	status uint32
	body   []byte
}

// open asks the daemon for a stream. A daemon, or what stands before it, may know of none: then the stream is nil.
func (c *Client) open(ctx context.Context, session string) (*stream, error) {
	st := &stream{shown: c.shown, session: session, waiting: map[uint32]chan<- framed{}}
	err := c.once(ctx, &request{method: http.MethodGet, path: "/v1/workers" + workerPath(session, "/stream"),
		header:   map[string]string{"Connection": "Upgrade", "Upgrade": wire.Stream},
		upgraded: func(conn io.ReadWriteCloser) { st.conn = conn }})
	var no *model.Problem
	if errors.As(err, &no) {
		switch no.Code {
		case "not_found", "method_not_allowed", "invalid_request", "unknown_answer":
			return nil, nil
		}
	}
	if err != nil {
		return nil, err
	}
	go st.read()
	return st, nil
}

// read hands answers to who waits for them, until the connection ends.
func (st *stream) read() {
	in := bufio.NewReader(st.conn)
	for {
		head, err := wire.ReadFrame(in)
		var body []byte
		if err == nil && head.Length <= maxAnswer {
			body = make([]byte, head.Length)
			_, err = io.ReadFull(in, body)
		}
		if err != nil || body == nil {
			st.end()
			return
		}
		st.mu.Lock()
		to := st.waiting[head.Number]
		delete(st.waiting, head.Number)
		st.mu.Unlock()
		if to != nil {
			to <- framed{head.Status, body}
		}
	}
}

// end closes the connection. Whoever waits gets no answer.
func (st *stream) end() {
	_ = st.conn.Close()
	st.mu.Lock()
	defer st.mu.Unlock()
	st.over = true
	for number, to := range st.waiting {
		delete(st.waiting, number)
		close(to)
	}
}

// usable says whether an exchange of that session may go over it.
func (st *stream) usable(session string) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	return !st.over && st.session == session
}

// errStreamOver is why an exchange has no answer when its stream ended: by the daemon, or by somebody in between.
var errStreamOver = errors.New("the connection was closed")

// exchange sends one poll and waits for its answer. When ctx ends first, the connection is closed: so the daemon gives no tasks to
// somebody who does not wait any more.
func (st *stream) exchange(ctx context.Context, in *wire.Poll, out *wire.Polled) error {
	frame, err := wire.Encode(make([]byte, wire.FrameHead, 512), wire.Msgpack, in)
	if err != nil {
		return err
	}
	answer := make(chan framed, 1)
	st.mu.Lock()
	if st.over {
		st.mu.Unlock()
		return &Unreachable{st.shown, errStreamOver}
	}
	st.number++
	wire.Frame{Number: st.number}.Put(frame)
	st.waiting[st.number] = answer
	st.mu.Unlock()
	defer context.AfterFunc(ctx, st.end)()
	st.writing.Lock()
	_, err = st.conn.Write(frame)
	st.writing.Unlock()
	if err != nil {
		st.end()
	}
	got, ok := <-answer
	switch {
	case !ok && ctx.Err() != nil:
		return ctx.Err()
	case !ok:
		return &Unreachable{st.shown, errStreamOver}
	case got.status == http.StatusUnauthorized: // whoever opens another one shows the token that the client has by now
		st.end()
		return &Unreachable{st.shown, errStreamOver}
	case got.status == http.StatusNoContent:
		return nil
	case got.status == http.StatusOK:
		return wire.Decode(got.body, wire.Msgpack, out)
	}
	no := &model.Problem{}
	if err := json.Unmarshal(got.body, no); err != nil || no.Code == "" {
		no = &model.Problem{Title: http.StatusText(int(got.status)), Code: "unknown_answer", Detail: fmt.Sprintf("%s answered %d, not as agnt5d does", st.shown, got.status)}
	}
	no.Status = int(got.status)
	return no
}
