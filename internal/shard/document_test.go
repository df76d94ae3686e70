package shard_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/failure"
	"github.com/agnt5/agnt5d/internal/shard"
	"github.com/agnt5/agnt5d/internal/sim"
	"github.com/agnt5/agnt5d/replay"
)

// TestEveryDefinitionOfTheGuideRunsToItsEnd runs each definition of the user's guide twice: every signal comes in time; and no
// signal comes at all, with the engine restarted after every step.
func TestEveryDefinitionOfTheGuideRunsToItsEnd(t *testing.T) {
	files, err := filepath.Glob("../../testdata/flow/document/*")
	if err != nil || len(files) < 5 {
		t.Fatalf("%v %v", files, err)
	}
	for _, f := range files {
		body, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if d, problems := flow.Read(body); d == nil || len(problems) > 0 {
			continue // an example of what is refused
		}
		name, _, _ := strings.Cut(filepath.Base(f), ".")
		t.Run(name, func(t *testing.T) {
			answered := live(t, body, true)
			if answered.Status != replay.Completed {
				t.Errorf("with every signal: %s", answered.Status)
			}
			silent := live(t, body, false)
			waits := false
			for i := range silent.Steps {
				def := &silent.Graph.Def.Steps[i]
				waits = waits || def.Signal != nil && silent.Steps[i].State != replay.StepSkipped
				if def.Signal != nil && silent.Steps[i].State == replay.StepCompleted {
					t.Errorf("without a signal the wait %s is completed", def.Name)
				}
			}
			if !waits && silent.Status != replay.Completed {
				t.Errorf("without a signal: %s", silent.Status)
			}
			// A wait without a time-out waits on; one without on_timeout fails the run.
			if waits && silent.Status == replay.Failed && silent.Steps[silent.FailedBy].Error.Code != failure.SignalTimeout {
				t.Errorf("without a signal: %+v", silent.Steps[silent.FailedBy].Error)
			}
		})
	}
}

// live runs a definition until nothing moves any more.
func live(t *testing.T, body []byte, signals bool) *replay.State {
	s := &story{t: t, disk: sim.NewDisk(0), now: shard.Now{Wall: 1_800_000_000_000, Mono: 1}, tasks: map[string]*shard.Spec{}}
	d, _ := flow.Read(body)
	for i := range d.Steps {
		s.serve = append(s.serve, [2]string{d.Steps[i].Service, d.Steps[i].Handler})
	}
	s.boot()
	s.register("w", string(body))
	s.do("start r w")
	run, _, _, _ := s.disk.Lookup("r")
	for range 200 {
		before, err := s.folded(run)
		if err != nil {
			t.Fatal(err)
		}
		if before.Status.Ended() {
			return before
		}
		if !signals {
			s.do("restart")
		}
		moved := false
		for key := range s.tasks {
			id, step, _ := strings.Cut(key, "/")
			s.do("complete " + id + " " + step)
			moved = true
			break // one at a time, so that a restart comes between
		}
		for i := range before.Steps {
			if def := &before.Graph.Def.Steps[i]; signals && def.Signal != nil && before.Steps[i].State == replay.StepWaiting {
				s.do(fmt.Sprintf("signal r %s %s-%d", def.Signal.Name, def.Name, before.Events))
				moved = true
			}
		}
		if moved {
			continue
		}
		if w := s.shard.NextWake(); w.Wall > s.now.Wall {
			s.now.Mono += w.Wall - s.now.Wall
			s.now.Wall = w.Wall
			s.turn()
		}
	}
	end, err := s.folded(run)
	if err != nil {
		t.Fatal(err)
	}
	return end
}
