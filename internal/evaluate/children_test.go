package evaluate_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/agnt5/agnt5d/internal/evaluate"
	"github.com/agnt5/agnt5d/internal/refusal"
	"github.com/agnt5/agnt5d/internal/shard"
	"github.com/agnt5/agnt5d/replay"
)

// notOver is a journal whose children cannot be read for that reason.
type notOver struct {
	evaluate.Source
	why error
}

func (n notOver) Over(uint64, string) (*replay.State, json.RawMessage, error) { return nil, nil, n.why }

// What becomes of a child between a question about it and the answer fails no step of its parent's.
func TestAChildThatIsNotOverAnyMore(t *testing.T) {
	for _, c := range []struct {
		why     error
		open    bool // it goes on
		unknown bool // the answer is an error
	}{
		{why: refusal.ErrRunOpen, open: true},
		{why: refusal.ErrRunNotFound},
		{why: fmt.Errorf("%w: until then", refusal.ErrRunExpired)},
		{why: fmt.Errorf("%w: a record", refusal.ErrRunQuarantined)},
		{why: refusal.ErrDamaged},
		{why: fmt.Errorf("no memory left"), unknown: true},
	} {
		got, err := evaluate.Answer(&shard.Question{Ask: replay.AskChild, Run: 1, ChildID: "p/c"}, notOver{why: c.why})
		if (err != nil) != c.unknown || !c.unknown && (got.Child == nil) != c.open {
			t.Errorf("a child that a step takes up again: %v: %+v, %v", c.why, got, err)
		}
		got, err = evaluate.Answer(&shard.Question{Ask: replay.AskEnd, Run: 1, Child: 2, ChildID: "p/c"}, notOver{why: c.why})
		if err != nil || got.Of != 2 || (got.End == nil) != c.open || !c.open && got.End.State != replay.Failed {
			t.Errorf("a child that has ended: %v: %+v, %v", c.why, got, err)
		}
	}
}
