package shard_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/agnt5/agnt5d/internal/shard"
	"github.com/agnt5/agnt5d/internal/sim"
)

// However much comes to one run in one turn, no record grows towards what the journal does not take.
func TestALargeTurnOfOneRunIsSeveralRecords(t *testing.T) {
	s := &story{t: t, disk: sim.NewDisk(0), now: shard.Now{Wall: 1_800_000_000_000, Mono: 1}, tasks: map[string]*shard.Spec{}}
	s.boot()
	s.register("w", "steps:\n  - name: a\n    type: wait_signal\n    signal: {name: stop}\n")
	var inputs []any
	answers := 0
	answer := func(_ string, err error) {
		if err != nil {
			t.Error(err)
		}
		answers++
	}
	inputs = append(inputs, &shard.Start{ID: "r", Given: true, Workflow: "w", Reply: func(_ shard.Started, err error) { answer("", err) }})
	payload := bytes.Repeat([]byte("1"), 8<<20)
	const n = 20
	for i := range n { // one slice over and over: it is the records that count
		inputs = append(inputs, &shard.Signal{ID: "r", Name: "more", SignalID: fmt.Sprint(i), Payload: payload, Reply: answer})
	}
	inputs = append(inputs, &shard.Signal{ID: "r", Name: "stop", SignalID: "stop", Reply: answer})
	give(s.shard, s.disk, s.now, inputs)
	b := s.shard.Turn(s.now, nil)
	if err := s.shard.Broken(); err != nil {
		t.Fatal(err)
	}
	if len(b.Records) < 3 {
		t.Errorf("%d records", len(b.Records))
	}
	for _, r := range b.Records {
		if len(r.Body) > 80<<20 {
			t.Errorf("a record of %d MiB", len(r.Body)>>20)
		}
	}
	run := b.Records[0].Run
	s.disk.Append(b)
	s.commit()
	if answers != n+2 {
		t.Errorf("%d answers, want %d", answers, n+2)
	}
	st, err := s.folded(run)
	if err != nil || st.Status.String() != "completed" {
		t.Errorf("%v %v", st.Status, err)
	}
}
