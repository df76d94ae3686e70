package shard_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/agnt5/agnt5d/internal/refusal"
	"github.com/agnt5/agnt5d/internal/shard"
	"github.com/agnt5/agnt5d/internal/sim"
	"github.com/agnt5/agnt5d/replay"
)

// In one turn come what settles the last step and a cancel. Whichever stands first wins, and the other is told so.
func TestACancelInTheTurnOfTheLastOutcome(t *testing.T) {
	for name, c := range map[string]struct {
		yaml  string
		first bool // the cancel
		state replay.RunState
	}{
		"an outcome, then a cancel":                 {"steps:\n- {name: a, service_name: svc, handler_name: h}", false, replay.Completed},
		"a cancel, then an outcome":                 {"steps:\n- {name: a, service_name: svc, handler_name: h}", true, replay.Cancelled},
		"a signal, then a cancel":                   {"steps:\n- {name: a, type: wait_signal, signal: {name: go}}", false, replay.Completed},
		"an outcome of a step with others after it": {"steps:\n- {name: a, service_name: svc, handler_name: h}\n- {name: b, service_name: svc, handler_name: h, dependencies: [a]}", false, replay.Cancelled},
		"an outcome after which a wait times out":   {"steps:\n- {name: a, service_name: svc, handler_name: h}\n- {name: b, type: wait_signal, signal: {name: never, timeout_ms: 0}, dependencies: [a]}", false, replay.Failed},
	} {
		t.Run(name, func(t *testing.T) {
			s := &story{t: t, disk: sim.NewDisk(0), now: shard.Now{Wall: 1_800_000_000_000, Mono: 1}, tasks: map[string]*shard.Spec{}}
			s.boot()
			s.register("w", c.yaml)
			s.do("start r w")
			var result shard.Result
			var cancelled []error
			cancel := &shard.Cancel{ID: "r", Reply: func(err error) { cancelled = append(cancelled, err) }}
			var in any = &shard.Signal{ID: "r", Name: "go", SignalID: "1", Payload: []byte("null"), Reply: func(string, error) { result = shard.Recorded }}
			if !strings.Contains(name, "signal") {
				out := s.answer("r", "a")
				out.Output = []byte("1")
				out.Reply = func(res shard.Result, _ bool, _ error) { result = res }
				in = out
			}
			if c.first {
				s.turn(cancel, in)
			} else {
				s.turn(in, cancel)
			}
			number, _, _, err := s.disk.Lookup("r")
			if err != nil {
				t.Fatal(err)
			}
			head, _, _ := s.disk.Head(number)
			if got := replay.RunState(head.State); got != c.state {
				t.Errorf("the run is %s, want %s", got, c.state)
			}
			if len(cancelled) != 1 || (cancelled[0] == nil) != (c.state == replay.Cancelled) || cancelled[0] != nil && !errors.Is(cancelled[0], refusal.ErrRunFinished) {
				t.Errorf("the cancel is told %v", cancelled)
			}
			if (result == shard.Recorded) == c.first {
				t.Errorf("the other is told %q", result)
			}
		})
	}
}
