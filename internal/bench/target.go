package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/agnt5/agnt5d/client"
	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/seal"
	"github.com/agnt5/agnt5d/worker"
)

// target is what a workload runs on: an engine in this process, or a daemon with a worker beside it.
type target interface {
	register(ctx context.Context, name string, def flow.Definition) error
	// run starts a run and waits for its end.
	run(ctx context.Context, name string) error
	// start starts a run that does not end by itself.
	start(ctx context.Context, name, id string) error
	// status asks how a run is, without its steps.
	status(ctx context.Context, id string) error
	// list asks for a page of runs.
	list(ctx context.Context, f client.Filter) (int, error)
	// follow reads new events, of one run or of all, until ctx ends.
	follow(ctx context.Context, run string)
	usage() (usage, error)
	close() error
}

// usage is what was used up to now, by every process together but for the peak, which is of the one with the engine.
type usage struct {
	cpu     time.Duration
	commits uint64
	kept    int64
	written int64
	peak    int64
}

func (o *Options) target(name string) (target, error) {
	dir, err := o.dir(name)
	if err != nil {
		return nil, err
	}
	if o.Mode == "daemon" {
		return newRemote(o, dir)
	}
	codec, err := o.codec(dir)
	if err != nil {
		return nil, err
	}
	return newEmbedded(filepath.Join(dir, "bench.db"), codec)
}

// keysName is the file with the payload key of a measurement.
const keysName = "payload.keys"

// codec seals payloads when that is what is measured.
func (o *Options) codec(dir string) (engine.Codec, error) {
	if !o.Sealed {
		return nil, nil
	}
	keys, _, err := seal.ReadOrMake(filepath.Join(dir, keysName))
	if err != nil {
		return nil, err
	}
	return keys, nil
}

type embedded struct {
	eng  *engine.Engine
	show []engine.StatusOption // of the status of a run that has ended
}

func noop(context.Context, *worker.Task) (json.RawMessage, error) { return nil, nil }

func newEmbedded(path string, codec engine.Codec) (*embedded, error) {
	eng, err := engine.Open(path, engine.Options{Codec: codec})
	if err != nil {
		return nil, err
	}
	if err := errors.Join(engine.HandleRaw(eng, "bench", "noop", noop), engine.HandleRaw(eng, "bench", "large", large)); err != nil {
		return nil, errors.Join(err, eng.Close())
	}
	return &embedded{eng: eng}, nil
}

// open gives a workload of its own an engine in its own folder, and the floor of the disk.
func (o *Options) open(name string) (*embedded, Floor, error) {
	dir, err := o.dir(name)
	if err != nil {
		return nil, Floor{}, err
	}
	f, err := o.floor(dir)
	if err != nil {
		return nil, f, err
	}
	codec, err := o.codec(dir)
	if err != nil {
		return nil, f, err
	}
	e, err := newEmbedded(filepath.Join(dir, "bench.db"), codec)
	return e, f, err
}

func (e *embedded) register(_ context.Context, name string, def flow.Definition) error {
	return e.eng.Register(name, def)
}

func (e *embedded) run(ctx context.Context, name string) error {
	id, err := e.eng.Start(ctx, name, nil)
	if err != nil {
		return err
	}
	st, err := e.eng.Wait(ctx, id, e.show...)
	if err == nil && st.State != "completed" {
		err = fmt.Errorf("run %s: %s", id, st.State)
	}
	return err
}

func (e *embedded) usage() (usage, error) {
	s, err := e.eng.Stats()
	return usage{cpu("self"), s.Journal.Commits, s.Journal.UsedBytes, written("self"), peakRSS("self")}, err
}

func (e *embedded) close() error { return e.eng.Close() }

// remote is a daemon and a worker, each in a process of its own, which is ended by its number.
type remote struct {
	daemon, worker *exec.Cmd
	crowd          *exec.Cmd // many workers beside that one; nil: there are none
	url            string
	c              *client.Client
	headroom       []byte // this process's load should not be its garbage collector's
}

func newRemote(o *Options, dir string) (*remote, error) {
	r := &remote{headroom: make([]byte, 64<<20)}
	args := []string{"serve", "--listen", "127.0.0.1:0", "--file", filepath.Join(dir, "bench.db"), "--log-format", "json"}
	if o.Sealed {
		if _, err := o.codec(dir); err != nil {
			return nil, err
		}
		args = append(args, "--payload-key", filepath.Join(dir, keysName))
	}
	name, argv := o.Self(args...)
	r.daemon = exec.Command(name, argv...)
	line, err := startAndRead(r.daemon)
	if err != nil {
		return nil, errors.Join(err, r.close())
	}
	r.url = strings.TrimSpace(strings.TrimPrefix(line, "listening on "))
	if r.c, err = client.New(r.url, client.Options{}); err != nil {
		return nil, errors.Join(err, r.close())
	}
	name, argv = o.Self("bench", "--as-worker", r.url)
	r.worker = exec.Command(name, argv...)
	if _, err := startAndRead(r.worker); err != nil {
		return nil, errors.Join(err, r.close())
	}
	return r, nil
}

// startAndRead starts a child and waits for the first line that it says.
func startAndRead(cmd *exec.Cmd) (string, error) {
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", err
	}
	if err := cmd.Start(); err != nil {
		return "", err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return "", fmt.Errorf("%s did not start: %w", cmd.Args, err)
	}
	return line, nil
}

// Work is the worker of the daemon mode, or a crowd of so many. It says a line when it is about to serve, and ends with ctx.
func Work(ctx context.Context, url string, workers int, stdout io.Writer) error {
	if workers > 1 {
		return workCrowd(ctx, url, workers, stdout)
	}
	c, err := client.New(url, client.Options{})
	if err != nil {
		return err
	}
	w := client.NewWorker(c, "bench", client.WorkerOptions{Capacity: 2000})
	client.HandleRaw(w, "noop", noop)
	client.HandleRaw(w, "large", large)
	fmt.Fprintln(stdout, "working")
	return w.Run(ctx)
}

func (r *remote) register(ctx context.Context, name string, def flow.Definition) error {
	_, _, err := r.c.RegisterDefinition(ctx, name, def)
	return err
}

func (r *remote) run(ctx context.Context, name string) error {
	st, _, err := r.c.Start(ctx, name, nil, client.StartOptions{Wait: time.Minute, Steps: "none"})
	if err == nil && st.CompletedAt == "" {
		st, err = r.c.WaitSteps(ctx, st.WorkflowID, "none")
	}
	if err == nil && st.State != "completed" {
		err = fmt.Errorf("run %s: %s", st.WorkflowID, st.State)
	}
	return err
}

func (r *remote) usage() (usage, error) {
	resp, err := http.Get(r.url + "/metrics")
	if err != nil {
		return usage{}, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return usage{}, err
	}
	figure := func(name string) float64 {
		_, rest, _ := strings.Cut(string(b), "\n"+name+" ")
		line, _, _ := strings.Cut(rest, "\n")
		v, _ := strconv.ParseFloat(line, 64)
		return v
	}
	d, w := strconv.Itoa(r.daemon.Process.Pid), strconv.Itoa(r.worker.Process.Pid)
	used := cpu("self") + cpu(d) + cpu(w)
	if r.crowd != nil {
		used += cpu(strconv.Itoa(r.crowd.Process.Pid))
	}
	return usage{used, uint64(figure("agnt5_commits_total")), int64(figure("agnt5_journal_used_bytes")), 0, peakRSS(d)}, nil
}

func (r *remote) close() error {
	var errs []error
	for _, cmd := range []*exec.Cmd{r.worker, r.crowd, r.daemon} {
		if cmd == nil || cmd.Process == nil {
			continue
		}
		errs = append(errs, endProcess(cmd))
	}
	return errors.Join(errs...)
}

func endProcess(cmd *exec.Cmd) error {
	if cmd.Process.Signal(syscall.SIGTERM) != nil { // Windows has no such signal
		_ = cmd.Process.Kill()
	}
	return cmd.Wait()
}
