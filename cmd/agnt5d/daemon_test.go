package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/agnt5/agnt5d/client"
	"github.com/agnt5/agnt5d/model"
	"github.com/agnt5/agnt5d/worker"
)

// process is a child that this test started and ends.
type process struct {
	cmd  *exec.Cmd
	said *output
}

// output is what a child says, which may be read while it goes on.
type output struct {
	mu   sync.Mutex
	text strings.Builder
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

func startProcess(t *testing.T, wait string, env ...string) *process {
	t.Helper()
	p := &process{exec.Command(os.Args[0], "-test.run=^$"), &output{}}
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stderr = p.said
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.kill() })
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || !strings.HasPrefix(line, wait) {
		t.Fatalf("the child said %q: %v\n%s", line, err, p.said)
	}
	return p
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

// stop ends it with SIGTERM and gives its exit code.
func (p *process) stop(t *testing.T) int {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	_ = p.cmd.Wait()
	return p.cmd.ProcessState.ExitCode()
}

// daemon is a daemon in a process of its own, on a port that it keeps.
type daemon struct {
	*process
	dir, url string
	args     string
}

func freePort(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func startDaemon(t *testing.T, dir string, args ...string) *daemon {
	t.Helper()
	listen := freePort(t)
	d := &daemon{dir: dir, url: "http://" + listen}
	d.args = strings.Join(append([]string{"serve", "--listen", listen, "--file", filepath.Join(dir, "runs.db")}, args...), " ")
	d.again(t)
	return d
}

func (d *daemon) again(t *testing.T) {
	t.Helper()
	d.process = startProcess(t, "listening on "+d.url, "AGNT5D_TEST_MAIN="+d.args)
}

func (d *daemon) client(t *testing.T) *client.Client {
	t.Helper()
	c, err := client.New(d.url, client.Options{Patience: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// cli runs a verb against the daemon.
func (d *daemon) cli(t *testing.T, args ...string) (int, string, string) {
	t.Helper()
	t.Setenv("AGNT5_URL", d.url)
	return agnt5d(t, args...)
}

// say runs a verb against the daemon, and looks at its exit code and at what it prints.
func (d *daemon) say(t *testing.T, code int, want string, args ...string) {
	t.Helper()
	got, out, errs := d.cli(t, args...)
	if got != code || !strings.Contains(out+errs, want) {
		t.Errorf("agnt5d %q: exit %d, want %d and %q\n%s%s", args, got, code, want, out, errs)
	}
}

// serve runs a worker of the daemon in this process until the test ends, or calls what it gives. A run may have ended before its worker has
// heard that, so who kills a daemon for good stops the worker first: it asks for its answer for ten seconds, and that is an error.
func (d *daemon) serve(t *testing.T, service string, o client.WorkerOptions, handlers map[string]worker.Func) func() {
	t.Helper()
	w := client.NewWorker(d.client(t), service, o)
	for name, fn := range handlers {
		client.HandleRaw(w, name, fn)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	end := sync.OnceFunc(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(end)
	return end
}

// workerChild is a worker in a process of its own, with the mixed handlers and some that take their time.
func workerChild(url string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	c, err := client.New(url, client.Options{})
	if err != nil {
		return err
	}
	w := client.NewWorker(c, "svc", client.WorkerOptions{Logger: slog.New(slog.NewTextHandler(os.Stderr, nil))})
	for name, fn := range mixedHandlers {
		client.HandleRaw(w, name, fn)
	}
	gate := os.Getenv("AGNT5D_TEST_GATE")
	client.HandleRaw(w, "slow", func(ctx context.Context, t *worker.Task) (json.RawMessage, error) {
		f, err := os.OpenFile(gate, os.O_RDONLY, 0) // a named pipe: it opens when the test opens its other end
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return json.Marshal(fmt.Sprintf("attempt %d of %s in process %d", t.Attempt, t.WorkflowID, os.Getpid()))
	})
	fmt.Println("working")
	return w.Run(ctx)
}

func startWorker(t *testing.T, url string, env ...string) *process {
	t.Helper()
	return startProcess(t, "working", append(env, "AGNT5D_TEST_WORKER="+url)...)
}

// rounds is how often something is killed. The suite's time allows a few; AGNT5_KILLS asks for more.
func rounds(t *testing.T, few int) int {
	if s := os.Getenv("AGNT5_KILLS"); s != "" {
		if _, err := fmt.Sscan(s, &few); err != nil {
			t.Fatal(err)
		}
	}
	return few
}

// TestDaemonAndWorkersKilledInTurn is the promise over HTTP: a daemon and two workers, each killed again and again under
// load. Nothing that was acknowledged is lost, nothing is completed twice, and every run comes to its end.
func TestDaemonAndWorkersKilledInTurn(t *testing.T) {
	dir := t.TempDir()
	d := startDaemon(t, dir, "--lease", "2s")
	c := d.client(t)
	for name, def := range mixedFlows() {
		if _, _, err := c.RegisterDefinition(t.Context(), name, def); err != nil {
			t.Fatal(err)
		}
	}
	workers := [2]*process{startWorker(t, d.url), startWorker(t, d.url)}
	ctx, stop := context.WithCancel(t.Context())
	load := drive(ctx, t, c, dir)
	rng := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 2))
	n := rounds(t, 18)
	for round := range n {
		timer := time.NewTimer(time.Duration(rng.IntN(200_000)) * time.Microsecond)
		<-timer.C
		if who := round % 3; who < 2 {
			workers[who].kill()
			workers[who] = startWorker(t, d.url)
			continue
		}
		d.kill()
		d.again(t)
	}
	stop()
	load.Wait()
	for _, l := range lines(t, dir) {
		st, err := c.Wait(t.Context(), l[1])
		if err != nil || st.State != "completed" {
			t.Fatalf("run %s: %v %+v", l[1], err, st)
		}
	}
	waitForAll(t, c)
	for _, w := range workers {
		if code := w.stop(t); code != 0 {
			t.Errorf("a worker ended with %d: %s", code, w.said)
		}
	}
	if code := d.stop(t); code != 0 {
		t.Errorf("the daemon ended with %d: %s", code, d.said)
	}
	judgeKilled(t, dir, n/4)
}

// waitForAll waits also for runs whose start was not acknowledged.
func waitForAll(t *testing.T, c *client.Client) {
	t.Helper()
	for {
		open, _, err := c.List(t.Context(), client.Filter{State: "running"}, 1, "")
		if err != nil {
			t.Fatal(err)
		}
		if len(open) == 0 {
			return
		}
		if _, err := c.Wait(t.Context(), open[0].WorkflowID); err != nil {
			t.Fatal(err)
		}
	}
}

// drive starts runs and signals them until ctx ends, and notes what was acknowledged.
func drive(ctx context.Context, t *testing.T, c *client.Client, dir string) *sync.WaitGroup {
	notes, err := os.OpenFile(filepath.Join(dir, "acknowledged"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { notes.Close() })
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				name := mixed[(w+i)%len(mixed)]
				id := fmt.Sprintf("%s-%d-%d", name, w, i)
				st, _, err := c.Start(ctx, name, map[string]int{"n": i}, client.StartOptions{ID: id})
				if err != nil {
					if ctx.Err() == nil {
						t.Errorf("start %s: %v", id, err)
					}
					return
				}
				fmt.Fprintf(notes, "start %s\n", st.WorkflowID)
				if name != "approval" || i%2 != 0 {
					continue
				}
				var p *model.Problem
				switch _, err := c.Signal(ctx, id, "approved", i, "sig-"+id); {
				case err == nil:
					fmt.Fprintf(notes, "signal %s sig-%s\n", id, id)
				case errors.As(err, &p) && p.Code == "run_finished": // it was escalated meanwhile
				case ctx.Err() == nil:
					t.Errorf("signal %s: %v", id, err)
				}
			}
		})
	}
	return &wg
}

// until asks again and again, and gives the others time in between.
func until(t *testing.T, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatal("it did not come about")
		}
	}
}
