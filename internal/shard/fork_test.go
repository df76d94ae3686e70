package shard_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/refusal"
	"github.com/agnt5/agnt5d/internal/shard"
	"github.com/agnt5/agnt5d/internal/sim"
	"github.com/agnt5/agnt5d/replay"
)

// fork forks a run as a daemon does: by a plan, and what it keeps.
func (s *story) fork(run, id, from string, sets []string) {
	st := s.ended(run)
	if st == nil {
		s.t.Fatalf("run %s has not ended", run)
	}
	in := &shard.Fork{Of: replay.Forked{ID: run, Run: st.Run, From: from}, Digest: st.Graph.Digest, Set: map[replay.Instance][]byte{}}
	var names []string
	for _, set := range sets {
		name, output, _ := strings.Cut(set, "=")
		names = append(names, name)
		in.Set[st.Graph.Index[name]] = []byte(output)
	}
	plan, err := st.PlanFork(st.Graph, from, names)
	if err == nil {
		in.Kept, err = st.Keep(plan, 0, func(p replay.Payload) ([]byte, error) { return s.archive().Payload(p) })
	}
	if err != nil {
		s.reply(err)
		return
	}
	s.turn(&shard.Start{ID: id, Given: true, Workflow: st.Workflow, Version: st.Version, Input: []byte("null"), Fork: in, Reply: func(_ shard.Started, err error) { s.reply(err) }})
}

const forkedFlow = `steps:
- {name: a, service_name: svc, handler_name: h}
- {name: side, service_name: svc, handler_name: h, compensate: {handler_name: undo}}
- {name: b, service_name: svc, handler_name: h, dependencies: [a], retry: {max_attempts: 1}}
- {name: c, service_name: svc, handler_name: h, dependencies: [b]}
- {name: d, service_name: svc, handler_name: h, dependencies: [a]}
finally:
- {name: report, service_name: svc, handler_name: h}
- {name: late, service_name: svc, handler_name: h, dependencies: [report], when: "false"}
`

// aForkableRun is run r of forkedFlow: a, side and d have completed, b has failed, side was compensated and report has run.
func aForkableRun(t *testing.T) (*story, *replay.State) {
	s := &story{t: t, disk: sim.NewDisk(0), now: shard.Now{Wall: 1_800_000_000_000, Mono: 1}, tasks: map[string]*shard.Spec{}}
	s.boot()
	s.register("w", forkedFlow)
	s.do("start r w\ncomplete r a {\"n\":1}\ncomplete r d\ncomplete r side\nfail r b\ncomplete r side/undo\ncomplete r report")
	st := s.ended("r")
	if st == nil || st.Status != replay.Failed || len(s.said) > 0 {
		t.Fatal(st, s.said)
	}
	return s, st
}

// A fork's plan says why each step runs again, and that finally steps may repeat what they do.
func TestAForksPlanSaysWhy(t *testing.T) {
	_, st := aForkableRun(t)
	plan := func(text, from string, set ...string) string {
		d, problems := flow.ParseAny([]byte(text))
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		g, err := flow.NewGraph(d)
		if err != nil {
			t.Fatal(err)
		}
		p, err := st.PlanFork(g, from, set)
		if err != nil {
			t.Fatal(err)
		}
		var all []string
		for i, what := range p.Steps {
			if what == replay.ForkAgain || what == replay.ForkRepeat {
				why := p.Why[i].Code
				if strings.HasPrefix(why, "after") {
					why += " " + g.Def.Steps[p.Why[i].After].Name
				}
				all = append(all, g.Def.Steps[i].Name+": "+why)
			}
		}
		return fmt.Sprint(strings.Join(all, ", "), "; may repeat ", p.Names(replay.ForkRepeat))
	}
	other := strings.Replace(forkedFlow, "- {name: d, service_name: svc, handler_name: h, dependencies: [a]}", "- {name: d, type: wait_signal, signal: {name: d}, dependencies: [a]}\n- {name: e, service_name: svc, handler_name: h}", 1)
	for _, c := range []struct{ got, want string }{
		{plan(forkedFlow, "b"), "side: compensated, b: from, c: not_settled, report: finally, late: finally; may repeat [side b report]"},
		{plan(forkedFlow, "a"), "a: from, side: compensated, b: not_settled, c: not_settled, d: after a, report: finally, late: finally; may repeat [a side b d report]"},
		{plan(forkedFlow, "c", "a"), "side: compensated, b: not_settled, c: from, d: after_set a, report: finally, late: finally; may repeat [side b d report]"},
		{plan(other, "c"), "side: compensated, b: not_settled, c: from, d: other_type, e: new, report: finally, late: finally; may repeat [side b d report]"},
	} {
		if c.got != c.want {
			t.Errorf("got  %s\nwant %s", c.got, c.want)
		}
	}
}

// A fork that is refused is no start of its version: nothing but a start keeps that from being deleted.
func TestARefusedForkIsNoStart(t *testing.T) {
	s, st := aForkableRun(t)
	used := func() (n []uint64) {
		s.turn(&shard.Usage{Name: "w", Reply: func(started []uint64, err error) { n = started }})
		return n
	}
	before := used()
	in := func(id string, digest flow.Digest) *shard.Start {
		return &shard.Start{ID: id, Given: true, Workflow: "w", Version: 1, Input: []byte("null"), Fork: &shard.Fork{Of: replay.Forked{ID: "r", Run: st.Run, From: "a"}, Digest: digest}, Reply: func(_ shard.Started, err error) { s.reply(err) }}
	}
	s.turn(in("f", "sha256:other"))
	if len(s.said) != 1 || !slices.Equal(used(), before) {
		t.Errorf("%v: %v, it was %v", s.said, used(), before)
	}
	s.turn(in("f", st.Graph.Digest))
	if after := used(); len(after) != 1 || after[0] != before[0]+1 {
		t.Errorf("a fork makes %v of %v", after, before)
	}
}

// What a fork takes over is bounded by the record that holds it: an event has more than its payload.
func TestTheLimitOfAForkIsThatOfItsRecord(t *testing.T) {
	s, st := aForkableRun(t)
	plan, err := st.PlanFork(st.Graph, "c", nil)
	if err != nil {
		t.Fatal(err)
	}
	read := func(p replay.Payload) ([]byte, error) { return s.archive().Payload(p) }
	for besides, want := range map[int]error{0: nil, replay.MaxFork - 1000: nil, replay.MaxFork - 50: refusal.ErrForkTooLarge, replay.MaxFork: refusal.ErrForkTooLarge} {
		if _, err := st.Keep(plan, besides, read); !errors.Is(err, want) {
			t.Errorf("with %d bytes besides: %v, want %v", besides, err, want)
		}
	}
}
