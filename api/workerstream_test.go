package api_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/agnt5/agnt5d/client"
	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/internal/wire"
	"github.com/agnt5/agnt5d/worker"
)

// line is a worker's end of a stream.
type line struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
}

func (s *site) upgrade(worker, header string) *line {
	s.t.Helper()
	c := s.held("GET /v1/workers/"+worker+"/stream", "Connection: Upgrade\r\nUpgrade: "+wire.Stream+"\r\n"+header+"\r\n")
	l := &line{s.t, c, bufio.NewReader(c)}
	resp, err := http.ReadResponse(l.in, nil)
	if err != nil || resp.StatusCode != 101 || resp.Header.Get("Upgrade") != wire.Stream {
		s.t.Fatalf("%v %v", resp, err)
	}
	return l
}

func (l *line) send(number uint32, p *wire.Poll) {
	l.t.Helper()
	b, err := wire.Encode(make([]byte, wire.FrameHead), wire.Msgpack, p)
	if err != nil {
		l.t.Fatal(err)
	}
	wire.Frame{Number: number}.Put(b)
	if _, err := l.conn.Write(b); err != nil {
		l.t.Fatal(err)
	}
}

// next reads an answer: that of a poll, or the code of an error.
func (l *line) next(number, status uint32) (got wire.Polled, code string) {
	l.t.Helper()
	f, err := wire.ReadFrame(l.in)
	body := make([]byte, f.Length)
	if err == nil {
		_, err = io.ReadFull(l.in, body)
	}
	if err != nil || f.Number != number || f.Status != status {
		l.t.Fatalf("%+v %s %v, want number %d, status %d", f, body, err, number, status)
	}
	switch {
	case status >= 400:
		var p struct{ Code string }
		if err := json.Unmarshal(body, &p); err != nil {
			l.t.Fatal(err)
		}
		code = p.Code
	case status == 200:
		if err := wire.Decode(body, wire.Msgpack, &got); err != nil {
			l.t.Fatal(err)
		}
	}
	return got, code
}

// ends waits for the daemon to end the stream.
func (l *line) ends() {
	l.t.Helper()
	if b, err := io.ReadAll(l.in); err != nil || len(b) > 0 {
		l.t.Fatalf("%q %v, want the end", b, err)
	}
}

// A poll that waits for a task holds up no other one, and each answer has the number of its request.
func TestAStreamCarriesPolls(t *testing.T) {
	s := open(t, engine.Options{})
	s.want(201, "", "PUT", "/v1/workflows/w", `{"steps":[{"name":"a","service_name":"svc","handler_name":"h"},{"name":"b","service_name":"svc","handler_name":"h","dependencies":["a"]}]}`)
	w := s.join(`"h"`, "")
	l := s.upgrade(w, "")
	l.send(7, &wire.Poll{Seq: 1, Max: 1, WaitMS: 20_000})
	s.start("w", "r")
	got, _ := l.next(7, 200)
	if len(got.Tasks) != 1 || got.Tasks[0].Step != "a" {
		t.Fatalf("got %+v", got)
	}
	l.send(8, &wire.Poll{})
	l.next(8, 204)
	l.send(9, &wire.Poll{Seq: 2, Max: 1, WaitMS: 20_000})
	l.send(1, &wire.Poll{Outcomes: []worker.Outcome{{Token: got.Tasks[0].Token, Status: worker.Completed, Output: json.RawMessage("1")}}})
	numbers := map[uint32]wire.Polled{}
	for range 2 {
		f, err := wire.ReadFrame(l.in)
		body := make([]byte, f.Length)
		if err == nil {
			_, err = io.ReadFull(l.in, body)
		}
		var p wire.Polled
		if err == nil {
			err = wire.Decode(body, wire.Msgpack, &p)
		}
		if err != nil || f.Status != 200 {
			t.Fatal(f, err)
		}
		numbers[f.Number] = p
	}
	if r := numbers[1].Results; len(r) != 1 || r[0].Code != "recorded" {
		t.Errorf("the outcome: %+v", numbers[1])
	}
	if tasks := numbers[9].Tasks; len(tasks) != 1 || tasks[0].Step != "b" {
		t.Errorf("the poll that waited: %+v", numbers[9])
	}
}

// What is wrong with a poll is said in its answer, and the stream goes on; what is wrong with a frame ends it.
func TestAStreamsErrors(t *testing.T) {
	s := open(t, engine.Options{})
	w := s.join(`"h"`, "")
	s.want(400, "invalid_request", "GET", "/v1/workers/"+w+"/stream", "")
	s.want(404, "worker_not_found", "GET", "/v1/workers/nobody/stream", "")
	s.want(404, "worker_not_found", "GET", "/v1/workers/push:p/stream", "")
	l := s.upgrade(w, "")
	l.send(1, &wire.Poll{Max: 1})
	if _, code := l.next(1, 400); code != "invalid_request" {
		t.Errorf("a poll without seq: %s", code)
	}
	junk := append(make([]byte, wire.FrameHead), "junk"...)
	wire.Frame{Number: 2}.Put(junk)
	_, _ = l.conn.Write(junk)
	if _, code := l.next(2, 400); code != "invalid_request" {
		t.Errorf("no msgpack: %s", code)
	}
	l.send(3, &wire.Poll{})
	l.next(3, 204)
	s.want(204, "", "DELETE", "/v1/workers/"+w, "")
	l.send(4, &wire.Poll{})
	if _, code := l.next(4, 404); code != "worker_not_found" {
		t.Errorf("after the worker has left: %s", code)
	}
	var large [wire.FrameHead]byte
	binary.BigEndian.PutUint32(large[:], 1<<31)
	binary.BigEndian.PutUint32(large[4:], 5)
	_, _ = l.conn.Write(large[:])
	if _, code := l.next(5, 413); code != "payload_too_large" {
		t.Errorf("a frame of 2 GiB: %s", code)
	}
	l.ends()
}

// A worker who sends polls and waits for none of them holds no more of the daemon than a few of them.
func TestAStreamsPollsTakeTurns(t *testing.T) {
	s := open(t, engine.Options{})
	w := s.join(`"h"`, "")
	l := s.upgrade(w, "")
	for n := range uint32(100) { // the newest poll for tasks answers the one before it
		l.send(n, &wire.Poll{Seq: uint64(n) + 1, Max: 1, WaitMS: 20})
	}
	for range 100 {
		f, err := wire.ReadFrame(l.in)
		if err == nil {
			_, err = io.CopyN(io.Discard, l.in, int64(f.Length))
		}
		if err != nil || f.Number > 99 {
			t.Fatal(f, err)
		}
	}
	l.send(200, &wire.Poll{Seq: 101, Max: 1, WaitMS: 60_000})
	l.conn.Close() // nobody is told, and the next stream works
	next := s.upgrade(w, "")
	next.send(1, &wire.Poll{})
	next.next(1, 204)
}

// A stream is good for no longer than the token that opened it.
func TestAStreamEndsWithItsToken(t *testing.T) {
	s := open(t, engine.Options{})
	w := s.join(`"h"`, "")
	free := s.upgrade(w, "")
	root := s.token("", "root", "admin", "")
	free.ends()
	mine := s.token(root, "mine", "worker:svc", "")
	l := s.upgrade(w, "Authorization: Bearer "+mine+"\r\n")
	l.send(1, &wire.Poll{})
	l.next(1, 204)
	s.want(204, "", "DELETE", "/v1/tokens/mine", "", as(root)...)
	l.ends()
	s.want(401, "unauthorized", "GET", "/v1/workers/"+w+"/stream", "", as(mine)...)
}

// A daemon that stops answers the polls that wait, records what is brought, and ends the streams.
func TestAStreamEndsWithTheDaemon(t *testing.T) {
	s := open(t, engine.Options{})
	w := s.join(`"h"`, "")
	l := s.upgrade(w, "")
	l.send(1, &wire.Poll{Seq: 1, Max: 1, WaitMS: 20_000})
	l.send(2, &wire.Poll{})
	l.next(2, 204) // so the first is there, too
	s.api.Stop()
	if _, code := l.next(1, 503); code != "shutting_down" {
		t.Errorf("the poll that waited: %s", code)
	}
	l.ends()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if s.api.Wait(ctx); ctx.Err() != nil {
		t.Error("a stream did not end")
	}
	s.want(503, "shutting_down", "GET", "/v1/workers/"+w+"/stream", "", "Connection", "Upgrade", "Upgrade", wire.Stream)
}

// between stands between workers and a daemon. A request for a stream it refuses, or relays until it is cut.
type between struct {
	to      string
	refuse  bool
	streams atomic.Int32 // that were asked for
	mu      sync.Mutex
	relayed []net.Conn
}

func (b *between) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Upgrade") == "" {
		httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: b.to}).ServeHTTP(w, r)
		return
	}
	b.streams.Add(1)
	if b.refuse {
		http.Error(w, "<html>no</html>", http.StatusBadGateway)
		return
	}
	far, err := net.Dial("tcp", b.to)
	if err != nil {
		return
	}
	near, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	_ = r.Write(far)
	b.mu.Lock()
	b.relayed = append(b.relayed, near, far)
	b.mu.Unlock()
	go func() { _, _ = io.Copy(far, near) }()
	_, _ = io.Copy(near, far)
	near.Close()
}

func (b *between) cut() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.relayed {
		c.Close()
	}
	b.relayed = nil
}

// A worker goes on over HTTP where something between it and the daemon knows no upgrade, and over a new stream where one is cut.
func TestAWorkerGoesOnWithoutItsStream(t *testing.T) {
	for _, how := range []string{"refused", "cut"} {
		t.Run(how, func(t *testing.T) {
			s := open(t, engine.Options{})
			s.want(201, "", "PUT", "/v1/workflows/w", oneTask)
			b := &between{to: s.srv.Listener.Addr().String(), refuse: how == "refused"}
			srv := httptest.NewServer(b)
			defer func() {
				b.cut()
				srv.CloseClientConnections() // a poll may wait
				srv.Close()
			}()
			direct := s.url
			s.url = srv.URL
			w := s.tokenWorker(client.Options{})
			s.url = direct
			for i := range 3 {
				id := fmt.Sprint("r", i)
				s.start("w", id)
				<-w.began
				b.cut()
				w.letGo <- struct{}{}
				s.ends(id, "")
				if a := s.step(id, "a"); a["attempt"] != 1.0 {
					t.Errorf("run %s: %v", id, a)
				}
			}
			if n := b.streams.Load(); how == "cut" && n < 2 || how == "refused" && n != 1 {
				t.Errorf("%d streams were asked for", n)
			}
		})
	}
}
