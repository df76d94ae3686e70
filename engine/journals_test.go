package engine_test

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/internal/archive"
	"github.com/agnt5/agnt5d/journal/bolt"
	"github.com/agnt5/agnt5d/replay"
)

// recorded is a run of a recorded journal as the release that wrote it folded it.
type recorded struct {
	ID      string `json:"workflow_id"`
	State   string `json:"state"`
	LastSeq uint64 `json:"last_seq"`
	Events  uint64 `json:"events"`
	Digest  string `json:"digest"`
}

// unpack gives a copy of a recorded journal to work on, and what its runs were.
func unpack(t *testing.T, name string) (path string, runs []recorded) {
	t.Helper()
	packed, err := os.Open(filepath.Join("../testdata/journals", name+".db.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer packed.Close()
	r, err := gzip.NewReader(packed)
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), name+".db")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(f, r); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	list, err := os.Open(filepath.Join("../testdata/journals", name+".jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer list.Close()
	for lines := bufio.NewScanner(list); lines.Scan(); {
		var run recorded
		if err := json.Unmarshal(lines.Bytes(), &run); err != nil {
			t.Fatal(err)
		}
		runs = append(runs, run)
	}
	return path, runs
}

var recordedJournals = []string{"format0-killed", "format0-closed", "format0-deleted"}

// Journals that earlier releases wrote, one after a kill, one after a clean stop, and one of which runs were deleted, fold to the digests
// that they had.
func TestRecordedJournalsFoldToTheirDigests(t *testing.T) {
	for _, name := range recordedJournals {
		path, runs := unpack(t, name)
		j, err := bolt.OpenReadOnly(path)
		if err != nil {
			t.Fatal(err)
		}
		defer j.Close()
		past := archive.New(j)
		for _, want := range runs {
			number, _, _, err := j.Lookup(want.ID)
			if err != nil {
				t.Fatal(err)
			}
			s, err := past.FoldRun(number, want.LastSeq)
			if err != nil {
				t.Errorf("%s: %s: %v", name, want.ID, err)
				continue
			}
			s.Released()
			if got := hex.EncodeToString(s.Digest()); got != want.Digest || s.Status.String() != want.State || s.Events != want.Events {
				t.Errorf("%s: %s folds to %s, %s with %d events; it was %s, %s with %d", name, want.ID, s.Status, got, s.Events, want.State, want.Digest, want.Events)
			}
		}
	}
}

// They go on, too: what had ended stays as it was, and what waited takes its signal, its timer and its worker.
func TestRecordedJournalsGoOn(t *testing.T) {
	for _, name := range recordedJournals {
		path, runs := unpack(t, name)
		eng, err := engine.Open(path, engine.Options{})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		defer eng.Close()
		for _, service := range []string{"svc/ok", "svc/once", "far/away"} {
			service, handler, _ := strings.Cut(service, "/")
			err := engine.Handle(eng, service, handler, func(context.Context, map[string]any) (string, error) { return "later", nil })
			if err != nil {
				t.Fatal(err)
			}
		}
		ctx := context.Background()
		for _, want := range runs {
			st, err := eng.Status(ctx, want.ID)
			if err != nil {
				t.Errorf("%s: %s: %v", name, want.ID, err)
			} else if ended, _ := replay.ParseRunState(want.State); ended.Ended() && st.State != want.State {
				t.Errorf("%s: %s is %s; it was %s", name, want.ID, st.State, want.State)
			}
		}
		// Long after it was recorded the wait has timed out, and the run ends by its escalation.
		if err := eng.Signal(ctx, "approval-2", "go", nil); err != nil && !errors.Is(err, engine.ErrRunFinished) {
			t.Error(err)
		}
		if err := eng.FireTimer(ctx, "timer-2", "k"); err != nil {
			t.Error(err)
		}
		for _, id := range []string{"approval-2", "timer-2", "nobody-0", "nobody-2"} {
			if st, err := eng.Wait(ctx, id); err != nil || st.State != "completed" {
				t.Errorf("%s: %s ended as %q: %v", name, id, st.State, err)
			}
		}
		if _, err := eng.Start(ctx, "chain", map[string]any{"n": 9, "text": "x y"}, engine.WithID("chain-0")); err == nil {
			t.Errorf("%s: a start with another input found the run", name)
		}
	}
}
