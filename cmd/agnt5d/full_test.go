//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/agnt5/agnt5d/client"
	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/model"
	"golang.org/x/sys/unix"
)

// smallDisk mounts a file system of that many bytes, and gives what makes it larger.
func smallDisk(t *testing.T, bytes int) (dir string, resize func(bytes int)) {
	t.Helper()
	dir = t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprint("size=", bytes)); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("a small disk cannot be mounted: %v", err)
		}
		t.Skipf("a small disk cannot be mounted here, which takes root (%v); CI does it", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	return dir, func(bytes int) {
		if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_REMOUNT, fmt.Sprint("size=", bytes)); err != nil {
			t.Fatal(err)
		}
	}
}

func code(err error) string {
	var p *model.Problem
	if errors.As(err, &p) {
		return p.Code
	}
	return fmt.Sprint(err)
}

// TestADiskFillsUpUnderTheDaemon: what is answered 507 is not there, now or later; what is answered else is; reads are never
// refused; what was done before is still said to be done; and monitoring sees one full disk, not two hundred.
func TestADiskFillsUpUnderTheDaemon(t *testing.T) {
	dir, resize := smallDisk(t, 3<<20)
	d := startDaemon(t, dir)
	c, err := client.New(d.url, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	def := flow.Definition{Steps: []flow.Step{flow.WaitSignal("s", "go")}}
	if _, _, err := c.RegisterDefinition(ctx, "w", def); err != nil {
		t.Fatal(err)
	}
	first := func() (start, signal, cancel, register error) {
		_, _, start = c.Start(ctx, "w", "first", client.StartOptions{ID: "first"})
		_, signal = c.Signal(ctx, "first", "other", 1, "sig")
		if _, _, err := c.Start(ctx, "w", nil, client.StartOptions{ID: "second"}); err != nil {
			t.Fatal(err)
		}
		cancel = c.Cancel(ctx, "second", "no need")
		_, _, register = c.RegisterDefinition(ctx, "w", def)
		return
	}
	if a, b, e, f := first(); errors.Join(a, b, e, f) != nil {
		t.Fatal(a, b, e, f)
	}
	var mu sync.Mutex
	refused, recorded := []string{}, []string{}
	var full atomic.Bool
	var all sync.WaitGroup
	for w := range 8 {
		all.Go(func() {
			for i := 0; i < 200 && !t.Failed(); i++ {
				id := fmt.Sprintf("r-%d-%d", w, i)
				_, _, err := c.Start(ctx, "w", strings.Repeat("x", 3_000<<(w%4*2)), client.StartOptions{ID: id})
				mu.Lock()
				switch {
				case err == nil:
					recorded = append(recorded, id)
				case code(err) == "disk_full":
					refused = append(refused, id)
					full.Store(true)
				default:
					t.Errorf("start %s: %v", id, err)
				}
				mu.Unlock()
				if _, err := c.Status(ctx, "first", ""); err != nil {
					t.Errorf("a read: %v", err)
				}
				if _, err := c.Status(ctx, id, ""); err != nil && code(err) != "run_not_found" {
					t.Errorf("a read of %s: %v", id, err)
				}
				if full.Load() && i%10 == 0 {
					if status, body := get(t, d.url+"/readyz"); status != 503 || !strings.Contains(body, "disk_full") {
						t.Errorf("readyz says %d %s", status, body)
					}
					if _, body := get(t, d.url+"/metrics"); !strings.Contains(body, "\nagnt5_disk_full 1\n") {
						t.Error("the gauge says that the disk is not full")
					}
				}
			}
		})
	}
	all.Wait()
	if len(refused) < 100 || len(recorded) < 5 {
		t.Fatalf("%d starts were refused and %d recorded: that proves nothing", len(refused), len(recorded))
	}
	if a, b, e, f := first(); errors.Join(a, b, e, f) != nil {
		t.Errorf("what was done before, asked again on a full disk: start %v, signal %v, cancel %v, register %v", a, b, e, f)
	}
	for what, err := range map[string]error{
		"signal":   signalled(c.Signal(ctx, "first", "other", 1, "new")),
		"cancel":   c.Cancel(ctx, "first", ""),
		"retry":    c.Retry(ctx, "second", ""),
		"delete":   c.Delete(ctx, "second"),
		"register": third(c.RegisterDefinition(ctx, "w2", def)),
	} {
		if code(err) != "disk_full" {
			t.Errorf("%s on a full disk: %v", what, err)
		}
	}
	resize(64 << 20)
	until(t, func() bool { status, _ := get(t, d.url+"/readyz"); return status == 200 })
	for _, id := range refused {
		if _, err := c.Status(ctx, id, ""); code(err) != "run_not_found" {
			t.Errorf("%s was answered with 507 and is there: %v", id, err)
		}
	}
	for _, id := range recorded {
		if st, err := c.Status(ctx, id, ""); err != nil || st.State != "running" {
			t.Errorf("%s was acknowledged: %+v %v", id, st, err)
		}
	}
	for id, state := range map[string]string{"first": "running", "second": "cancelled"} {
		if st, err := c.Status(ctx, id, ""); err != nil || st.State != state {
			t.Errorf("%s: %+v %v", id, st, err)
		}
	}
	if _, _, err := c.Start(ctx, "w", nil, client.StartOptions{ID: refused[0]}); err != nil {
		t.Errorf("a start that was refused, sent again: %v", err)
	}
	if code := d.stop(t); code != 0 {
		t.Errorf("exit %d", code)
	}
	if n := strings.Count(d.said.String(), "the disk is full"); n != 1 || strings.Count(d.said.String(), "disk has space again") != 1 {
		t.Errorf("the log says it %d times:\n%s", n, d.said)
	}
	if code, out, errs := agnt5d(t, "replay", filepath.Join(dir, "runs.db"), "--check"); code != 0 {
		t.Errorf("replay --check: exit %d: %s %s", code, out, errs)
	}
}

func signalled(_ model.Signalled, err error) error { return err }

func third[A, B any](_ A, _ B, err error) error { return err }
