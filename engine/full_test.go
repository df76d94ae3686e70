//go:build linux

package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/model"
	"github.com/agnt5/agnt5d/schedules"
	"github.com/agnt5/agnt5d/worker"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv("AGNT5_TEST_FULL"); dir != "" {
		try := fillUp
		if os.Getenv("AGNT5_TEST_FULL_OF") == "schedules" {
			try = overdueOnAFullDisk
		}
		if err := try(dir); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// A limit on the size of a file is a full disk that can be had and lifted in one process; it is a child, so that no other
// test meets it.
func TestAFullDiskRefusesReadsGoOnAndItResumes(t *testing.T) { onAFullDisk(t, "runs") }

// A schedule that cannot fire, because the disk is full, says so in lists, explain and metrics. When there is space it goes on, and each
// due time has its row.
func TestAScheduleThatCannotFireSaysSo(t *testing.T) { onAFullDisk(t, "schedules") }

func onAFullDisk(t *testing.T, of string) {
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), "AGNT5_TEST_FULL="+t.TempDir(), "AGNT5_TEST_FULL_OF="+of)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

func overdueOnAFullDisk(dir string) error {
	signal.Ignore(unix.SIGXFSZ)
	ctx := context.Background()
	path := filepath.Join(dir, "runs.db")
	eng, err := engine.Open(path, engine.Options{})
	if err != nil {
		return err
	}
	defer eng.Close()
	if err := eng.Register("w", flow.Definition{Steps: []flow.Step{flow.WaitSignal("go", "go")}}); err != nil {
		return err
	}
	d, problems := schedules.Read([]byte(`{"name":"often","workflow":"w","every":"1s","overlap":"allow","catch_up":{"window":"1h","max":0}}`))
	if len(problems) > 0 {
		return problems
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if _, _, err := eng.SchedulePut(ctx, d); err != nil {
		return err
	}
	if err := limit(uint64(info.Size())); err != nil {
		return err
	}
	for i := 0; !errors.Is(err, engine.ErrDiskFull); i++ {
		if _, err = eng.Start(ctx, "w", strings.Repeat("x", 100_000), engine.WithID(fmt.Sprint("r", i))); i > 5_000 {
			return errors.New("the disk never was full")
		}
	}
	said := func() (string, bool, error) {
		list, _, err := eng.ScheduleList(ctx, "", 0)
		if err != nil || len(list) != 1 {
			return "", false, fmt.Errorf("list: %+v %w", list, err)
		}
		why, err := eng.ScheduleExplain(ctx, "often")
		if err != nil {
			return "", false, err
		}
		stats, err := eng.Stats()
		overdue := slices.ContainsFunc(why.Reasons, func(r model.ScheduleReason) bool { return r.Code == "overdue" })
		return fmt.Sprintf("list %d ms, explain %v, metrics %d ms", list[0].OverdueMS, overdue, stats.Overdue), list[0].Late() && overdue && stats.Overdue > 500, err
	}
	for began := time.Now(); ; {
		text, is, err := said()
		if is {
			break
		}
		if time.Since(began) > 10*time.Second || err != nil {
			return fmt.Errorf("ten seconds after the disk was full: %s %w", text, err)
		}
	}
	if err := limit(1 << 40); err != nil {
		return err
	}
	for began := time.Now(); ; {
		rows, _, err := eng.ScheduleLedger(ctx, "often", engine.LedgerFilter{Limit: 1000})
		if err != nil {
			return err
		}
		for i := 1; i < len(rows); i++ {
			a, _ := time.Parse(time.RFC3339, rows[i].NominalAt)
			if b, _ := time.Parse(time.RFC3339, rows[i-1].NominalAt); b.Sub(a) != time.Second {
				return fmt.Errorf("between %+v and %+v no time has a row", rows[i], rows[i-1])
			}
		}
		if len(rows) > 0 && rows[0].Outcome == "fired" {
			if at, _ := time.Parse(time.RFC3339, rows[0].NominalAt); at.After(began) {
				return nil
			}
		}
		if time.Since(began) > time.Minute {
			return fmt.Errorf("it does not go on: %+v", rows)
		}
	}
}

func limit(bytes uint64) error {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &l); err != nil {
		return err
	}
	l.Cur = min(bytes, l.Max)
	return unix.Setrlimit(unix.RLIMIT_FSIZE, &l)
}

func fillUp(dir string) error {
	signal.Ignore(unix.SIGXFSZ)
	ctx := context.Background()
	path := filepath.Join(dir, "runs.db")
	eng, err := engine.Open(path, engine.Options{})
	if err != nil {
		return err
	}
	defer eng.Close()
	hold := make(chan struct{})
	if err := engine.HandleRaw(eng, "svc", "h", func(context.Context, *worker.Task) (json.RawMessage, error) {
		<-hold
		return json.RawMessage(`"kept"`), nil
	}); err != nil {
		return err
	}
	if err := eng.Register("w", flow.Definition{Steps: []flow.Step{flow.Task("a", "svc", "h"), flow.WaitTimer("t", "t", flow.Delay(10*time.Millisecond), flow.After("a"))}}); err != nil {
		return err
	}
	first, err := eng.Start(ctx, "w", nil, engine.WithID("first"))
	if err != nil {
		return err
	}
	var started []string
	waits := make(chan error, 100_000) // of who waits for a run while it is started, whether it then was or not
	waiting := 0
	for round := range 3 {
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		if err := limit(uint64(info.Size())); err != nil {
			return err
		}
		big := strings.Repeat("x", 100_000)
		full := false
		for i := range 5_000 {
			name := fmt.Sprintf("r%d-%d", round, i)
			for range 4 {
				waiting++
				go func() {
					_, err := eng.Wait(ctx, name)
					for tries := 0; tries < 50 && errors.Is(err, engine.ErrRunNotFound); tries++ {
						_, err = eng.Wait(ctx, name)
					}
					if errors.Is(err, engine.ErrRunNotFound) {
						err = nil
					}
					waits <- err
				}()
			}
			id, err := eng.Start(ctx, "w", big, engine.WithID(name))
			if errors.Is(err, engine.ErrDiskFull) {
				full = true
				break
			}
			if err != nil {
				return fmt.Errorf("round %d, start %d: %w", round, i, err)
			}
			started = append(started, id)
		}
		if !full {
			return fmt.Errorf("round %d: the disk never was full", round)
		}
		if round == 0 {
			close(hold) // the handlers answer while there is no space
		}
		if s, err := eng.Status(ctx, first); err != nil || s.State != "running" && s.State != "completed" {
			return fmt.Errorf("round %d: reading on a full disk: %+v %w", round, s, err)
		}
		// A few pages of a full file are free: the signal may find them, and so may the run's own last steps before it.
		if err := eng.Signal(ctx, first, "go", big); err != nil && !errors.Is(err, engine.ErrDiskFull) && !errors.Is(err, engine.ErrRunFinished) {
			return fmt.Errorf("round %d: a signal on a full disk: %w", round, err)
		}
		if err := limit(1 << 40); err != nil {
			return err
		}
		for _, id := range append(started, first) {
			s, err := eng.Wait(ctx, id)
			if err != nil || s.State != "completed" || string(s.Steps["a"].Output) != `"kept"` || s.Steps["a"].Attempt != 1 {
				return fmt.Errorf("round %d: %s after there was space: %+v %w", round, id, s, err)
			}
		}
	}
	for range waiting {
		select {
		case err := <-waits:
			if err != nil {
				return fmt.Errorf("waiting: %w", err)
			}
		case <-time.After(time.Minute):
			return errors.New("somebody still waits for a run that was dropped")
		}
	}
	return nil
}
