package archive_test

import (
	"strings"
	"testing"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/archive"
	"github.com/agnt5/agnt5d/internal/event"
	"github.com/agnt5/agnt5d/model"
)

// Every kind of event shows what it holds: people read histories, and a field that is not shown is not there for them.
func TestEveryFieldOfAnEventIsShown(t *testing.T) {
	g, err := flow.NewGraph(&flow.Definition{Steps: []flow.Step{flow.Task("zero", "s", "h"), flow.Task("one", "s", "h")}})
	if err != nil {
		t.Fatal(err)
	}
	full := event.Event{Forced: true, Step: 1, Timer: 0, Attempt: 7, Version: 9, Due: 1_800_000_000_000, Time: 1_800_000_000_001, Ref: 1234567, Hash: 1,
		Name: "the name", ID: "the id", Digest: "the digest", Code: "the code", Message: "the message", Type: "the type", Stack: "the stack", Trace: "the trace", By: "somebody",
		Payload: []byte(`"the payload"`), Objects: []event.ObjectWrite{{Key: "the key", State: []byte("1"), Version: 1}}}
	for k := event.Kind(1); k < 64; k++ {
		if strings.HasPrefix(k.String(), "Kind(") || k == event.RunsDeleted { // the payload of RunsDeleted has a layout of its own
			continue
		}
		body := event.AppendBody(nil, []event.Event{withKind(full, k)})
		err := event.Decode(body, func(_ int, e *event.Event) error { // as the layout lets it through
			shown := archive.Show(5, 1, 1, "run", g, e)
			for what, there := range map[string]bool{
				"the name": e.Name != "", "the code": e.Code != "", "the message": e.Message != "", "the type": e.Type != "", "the stack": e.Stack != "",
				"the payload": e.Payload != nil && e.Ref == 0, "the key": len(e.Objects) > 0, "somebody": e.By != "", "1234567": e.Ref != 0, "2027-01-15T08:00:00.000Z": e.Due != 0,
			} {
				if there && !strings.Contains(text(t, shown), what) && !(k == event.AttemptStarted && what == "the name") { // in process it has no worker's name
					t.Errorf("%s holds %s, and does not show it: %s", k, what, text(t, shown))
				}
			}
			if e.OfStep() && shown.Step != "one" {
				t.Errorf("%s: step %q", k, shown.Step)
			}
			return nil
		})
		if err != nil {
			t.Errorf("%s: %v", k, err)
		}
	}
}

func withKind(e event.Event, k event.Kind) event.Event { e.Kind = k; return e }

func text(t *testing.T, v any) string {
	t.Helper()
	b, err := model.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
