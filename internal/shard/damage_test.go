package shard_test

import (
	"testing"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/shard"
	"github.com/agnt5/agnt5d/replay"
)

// A reader meets damage in a run that has ended and begun in front of the point where recovery starts. The next start needs nothing
// of it, and reports no second damage for the records that it has behind that point.
func TestAStartReportsNoDamageOfItsOwnInAnEndedRunThatIsQuarantined(t *testing.T) {
	b := newBed(t)
	b.register("w", flow.Task("a", "here", "work"), flow.Task("b", "here", "more", flow.After("a")))
	b.start("one", "w")
	b.do(b.outcome("one/a"))
	b.r.Checkpoint()
	b.do()
	b.do(b.outcome("one/b"))
	records, err := b.disk.RunRecords(b.number("one"), 1<<62, 1, 1<<30)
	if err != nil || len(records) < 3 {
		t.Fatalf("%d records, %v", len(records), err)
	}
	b.disk.Damage(records[1].Seq)
	b.do(&shard.Quarantine{Run: b.number("one"), Seq: records[1].Seq, Why: "a bit has flipped"})
	if len(b.damage) != 1 || b.damage[0].Kind != "quarantined" {
		t.Fatalf("the reader reports %+v", b.damage)
	}
	b.damage = nil
	b.boot()
	if len(b.damage) != 0 {
		t.Errorf("the start reports %+v", b.damage)
	}
	if h, _, _ := b.disk.Head(b.number("one")); replay.RunState(h.State) != replay.Quarantined {
		t.Errorf("the run is %s", replay.RunState(h.State))
	}
}
