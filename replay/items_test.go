package replay

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/agnt5/agnt5d/flow"
)

// What a run of many items keeps follows what is open: an instance for each of those, and a few words for each of the others. A snapshot
// gives back the same state at any moment.
func TestWhatManyItemsCost(t *testing.T) {
	const n = 10_000
	g, err := flow.NewGraph(&flow.Definition{Steps: []flow.Step{flow.Task("job", "svc", "h", flow.ForEach("input"), flow.MaxParallel(100), flow.ToleratePercent(1), flow.WithRetry(flow.Retry{MaxAttempts: 1}))}})
	must(t, err)
	s := New(g)
	seq := uint64(1)
	turn := func(do func(*Turn)) {
		t.Helper()
		tt := &Turn{S: s, At: int64(seq), Seq: seq, Boot: 7}
		do(tt)
		tt.Decide()
		must(t, tt.Err)
		seq += uint64(len(tt.Events))
		s.EndRecord(seq - 1)
	}
	turn(func(t *Turn) { t.Start("r", "w", 1, []byte("null"), "") })
	turn(func(t *Turn) {
		t.Evaluated(0, Evaluated{List: []byte("[" + strings.TrimSuffix(strings.Repeat(`"an item",`, n), ",") + "]")})
	})
	for k := range n {
		item := s.ItemNumber(0, k)
		turn(func(t *Turn) {
			t.Started(item, 1, "w", 1, false)
			if k == 17 || k == n-1 {
				t.Fail(item, 1, AttemptError{Code: "no_luck"})
				return
			}
			t.Complete(item, 1, []byte(fmt.Sprint(k)), nil, uint64(k+1))
		})
		if k%997 != 0 && k < n-2 {
			continue
		}
		must(t, s.Check())
		kept := 0
		for range s.Items(0) {
			kept++
		}
		if kept > 102 {
			t.Fatalf("%d instances are kept after %d items", kept, k)
		}
		b := s.Append(nil)
		if len(b) > 45*n {
			t.Fatalf("after %d of %d items the state has %d bytes", k, n, len(b))
		}
		other, err := Decode(b, g)
		must(t, err)
		must(t, other.Check())
		if !bytes.Equal(other.Append(nil), b) || !bytes.Equal(other.Digest(), s.Digest()) {
			t.Fatalf("after %d items the state is another one when it has been read back", k)
		}
		s = other // it goes on with that
	}
	if s.Asks(0) != AskOutput || len(s.Outputs(0)) != n {
		t.Fatalf("all items have settled, and it asks %d", s.Asks(0))
	}
	if repeat := s.MatchOutcome(s.ItemNumber(0, 5), 1, 7, 6); repeat != Same {
		t.Errorf("an outcome that comes again is %d", repeat)
	}
	turn(func(t *Turn) { t.Evaluated(0, Evaluated{List: []byte("[]")}) })
	if s.Status != Completed {
		t.Errorf("the run is %s", s.Status)
	}
}

// A history that no run can have is refused.
func TestImpossibleItems(t *testing.T) {
	g, err := flow.NewGraph(&flow.Definition{Steps: []flow.Step{flow.Task("a", "svc", "h"), flow.Task("job", "svc", "h", flow.ForEach("input"), flow.MaxItems(2))}})
	must(t, err)
	for name, list := range map[string][]byte{"too many": []byte("[1,2,3]"), "none, though there was none before": nil} {
		s := New(g)
		tt := &Turn{S: s, At: 1, Seq: 1}
		tt.Start("r", "w", 1, []byte("null"), "")
		must(t, tt.Err)
		if tt.setItems(1, list); name == "too many" && s.Steps[1].State != StepFailed || name != "too many" && tt.Err == nil {
			t.Errorf("%s: the step is %s, %v", name, s.Steps[1].State, tt.Err)
		}
	}
}
