package api_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/agnt5/agnt5d/client"
	"github.com/agnt5/agnt5d/engine"
)

// tokenWorker is a Go worker of the service svc with a token's file, and a handler that returns when it is let go.
type tokenWorker struct {
	began, letGo chan struct{}
	over         chan error
	log          *lockedText
}

type lockedText struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (s *site) tokenWorker(o client.Options) *tokenWorker {
	s.t.Helper()
	c, err := client.New(s.url, o)
	if err != nil {
		s.t.Fatal(err)
	}
	w := &tokenWorker{began: make(chan struct{}, 10), letGo: make(chan struct{}, 10), over: make(chan error, 1), log: &lockedText{}}
	far := client.NewWorker(c, "svc", client.WorkerOptions{Drain: 20 * time.Second, Logger: slog.New(slog.NewTextHandler(w.log, nil))})
	client.Handle(far, "h", func(ctx context.Context, _ struct{}) (int, error) {
		w.began <- struct{}{}
		<-w.letGo
		return 1, nil
	})
	ctx, stop := context.WithCancel(context.Background())
	s.t.Cleanup(func() {
		stop()
		close(w.letGo)
	})
	go func() { w.over <- far.Run(ctx) }()
	return w
}

func (s *site) ends(run, as string) {
	s.t.Helper()
	r := s.want(200, "", "GET", "/v1/runs/"+run, "", "Authorization", "Bearer "+as, "Prefer", "wait=20")
	if r.json["state"] != "completed" {
		s.t.Fatalf("run %s: %s", run, r.text)
	}
}

// TestATokensFileIsReadAgain: a worker goes on with the token that its file has when the one of before is revoked, and an outcome that
// nobody took meanwhile is not lost.
func TestATokensFileIsReadAgain(t *testing.T) {
	s := open(t, engine.Options{})
	s.want(201, "", "PUT", "/v1/workflows/w", `{"steps":[{"name":"a","service_name":"svc","handler_name":"h"}]}`)
	root := s.token("", "root", "admin", "")
	file := filepath.Join(t.TempDir(), "token")
	write := func(name string) {
		t.Helper()
		text := s.token(root, name, "worker:svc", "")
		if err := os.WriteFile(file, []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	start := func(run string) {
		t.Helper()
		s.want(201, "", "POST", "/v1/workflows/w/runs", `{"workflow_id":"`+run+`"}`, as(root)...)
	}
	write("one")
	w := s.tokenWorker(client.Options{TokenFile: file})
	start("r1")
	<-w.began
	write("two")
	s.want(204, "", "DELETE", "/v1/tokens/one", "", as(root)...)
	w.letGo <- struct{}{}
	s.ends("r1", root)
	start("r2")
	<-w.began
	select {
	case err := <-w.over:
		t.Fatalf("the worker has ended: %v", err)
	default:
	}
	s.want(204, "", "DELETE", "/v1/tokens/two", "", as(root)...) // too early: the file has no other one yet
	w.letGo <- struct{}{}
	until(t, func() bool { return strings.Contains(w.log.String(), "the daemon refuses this worker; retrying") })
	write("three")
	s.ends("r2", root)
	if err := <-w.over; err == nil || !strings.Contains(err.Error(), "was revoked") {
		t.Errorf("the worker ends with %v", err)
	}
	for _, wrong := range []string{"does not answer", "rejected", "agt_"} {
		if strings.Contains(w.log.String(), wrong) {
			t.Errorf("its log has %q: %s", wrong, w.log)
		}
	}
}

// TestAWorkerSaysThatItsTokenIsRefused, and where it takes one from.
func TestAWorkerSaysThatItsTokenIsRefused(t *testing.T) {
	t.Setenv("AGNT5_API_KEY", "")
	s := open(t, engine.Options{})
	root := s.token("", "root", "admin", "")
	err := <-s.tokenWorker(client.Options{}).over
	if err == nil || !strings.Contains(err.Error(), "refuses this worker: no access token was sent") || !strings.Contains(err.Error(), "AGNT5_API_KEY") {
		t.Error(err)
	}
	w := s.tokenWorker(client.Options{Key: s.token(root, "svc", "worker:svc", "")})
	until(t, func() bool {
		return strings.Contains(s.want(200, "", "GET", "/v1/workers", "", as(root)...).text, `"waiting":true`)
	})
	s.want(204, "", "DELETE", "/v1/tokens/svc", "", as(root)...)
	if err := <-w.over; err == nil || !strings.Contains(err.Error(), `"svc" was revoked`) || strings.Contains(w.log.String(), "does not answer") {
		t.Errorf("%v; %s", err, w.log)
	}
}
