package replay_test

import (
	"fmt"
	"testing"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/event"
	"github.com/agnt5/agnt5d/replay"
)

func chain(b *testing.B, n int) *flow.Graph {
	var d flow.Definition
	for i := range n {
		var opts []flow.StepOption
		if i > 0 {
			opts = append(opts, flow.After(fmt.Sprint("s", i-1)))
		}
		d.Steps = append(d.Steps, flow.Task(fmt.Sprint("s", i), "svc", "h", opts...))
	}
	g, err := flow.NewGraph(&d)
	if err != nil {
		b.Fatal(err)
	}
	return g
}

var turnOf replay.Turn

// run plays a run of n steps in a chain, and gives the events of each record.
func run(b *testing.B, g *flow.Graph, each func(seq uint64, events []event.Event)) *replay.State {
	s := replay.New(g)
	seq := uint64(1)
	t := &turnOf
	turn := func(fold func(*replay.Turn)) {
		*t = replay.Turn{S: s, At: 1, Seq: seq, Events: t.Events[:0]} // as the shard does: the list is used again
		fold(t)
		t.Decide()
		if t.Err != nil {
			b.Fatal(t.Err)
		}
		if each != nil {
			each(seq, t.Events)
		}
		s.EndRecord(seq)
		seq += uint64(len(t.Events))
	}
	turn(func(t *replay.Turn) { t.Start("r", "w", 1, []byte("null"), "") })
	for i := range g.Deps {
		turn(func(t *replay.Turn) {
			t.Started(int32(i), 1, "w", 1, true)
			t.Complete(int32(i), 1, []byte("null"), nil, 0)
		})
	}
	return s
}

// One iteration is a run of ten steps: what the core decides for eleven commits.
func BenchmarkDecide(b *testing.B) {
	g := chain(b, 10)
	b.ReportAllocs()
	for b.Loop() {
		if s := run(b, g, nil); s.Status != replay.Completed {
			b.Fatal(s.Status)
		}
	}
}

// The same run folded from its records, as recovery does.
func BenchmarkApply(b *testing.B) {
	g := chain(b, 10)
	type record struct {
		seq    uint64
		events []event.Event
	}
	var records []record
	run(b, g, func(seq uint64, events []event.Event) {
		records = append(records, record{seq, append([]event.Event(nil), events...)})
	})
	b.ReportAllocs()
	for b.Loop() {
		s := replay.New(g)
		for _, r := range records {
			for i := range r.events {
				if err := s.Apply(r.seq+uint64(i), 1, &r.events[i]); err != nil {
					b.Fatal(err)
				}
			}
			s.EndRecord(r.seq)
		}
		if s.Status != replay.Completed {
			b.Fatal(s.Status)
		}
	}
}
