//go:build !windows

package engine_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
)

// The file is taken from under an embedded engine: the program lives on, every call says so, and the engine can be opened anew.
func TestAnEngineWhoseFileIsGoneSaysSoOnEveryCall(t *testing.T) {
	for name, take := range map[string]func(path string) error{"deleted": os.Remove, "emptied": func(p string) error { return os.Truncate(p, 0) }} {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			path := filepath.Join(t.TempDir(), "runs.db")
			eng, err := engine.Open(path, engine.Options{})
			if err != nil {
				t.Fatal(err)
			}
			def := flow.Definition{Steps: []flow.Step{flow.WaitSignal("s", "go")}}
			if err := eng.Register("w", def); err != nil {
				t.Fatal(err)
			}
			if _, err := eng.Start(ctx, "w", nil, engine.WithID("r")); err != nil {
				t.Fatal(err)
			}
			waited := make(chan error, 1)
			go func() { _, err := eng.Wait(context.Background(), "r"); waited <- err }()
			if err := take(path); err != nil {
				t.Fatal(err)
			}
			reads := make(chan error)
			for range 8 { // all at once: none may wait for another that has met the hole
				go func() { _, err := eng.List(ctx, engine.ListFilter{}); reads <- err }()
			}
			for range 8 {
				<-reads // some may have been in time
			}
			select {
			case <-eng.Done():
			case <-time.After(10 * time.Second):
				t.Fatal("the engine did not notice")
			}
			for call, err := range map[string]error{
				"Err":      eng.Err(),
				"Wait":     <-waited,
				"Register": eng.Register("w2", def),
				"Start":    second(eng.Start(ctx, "w", nil)),
				"Signal":   eng.Signal(ctx, "r", "go", nil),
				"Cancel":   eng.Cancel(ctx, "r", ""),
				"Delete":   eng.Delete(ctx, "r"),
				"Status":   second(eng.Status(ctx, "r")),
				"List":     second(eng.List(ctx, engine.ListFilter{})),
				"Object":   second(eng.Object(ctx, "k")),
				"Stats":    second(eng.Stats()),
				"Backup":   eng.Backup(io.Discard),
				"Close":    eng.Close(),
			} {
				if !errors.Is(err, engine.ErrGone) || !errors.Is(err, engine.ErrBroken) {
					t.Errorf("%s: %v", call, err)
				}
			}
			if name == "emptied" {
				if _, err := engine.Open(path, engine.Options{}); err == nil {
					t.Error("an empty file was opened")
				}
				_ = os.Remove(path)
			}
			eng, err = engine.Open(path, engine.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if err := eng.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func second[T any](_ T, err error) error { return err }
