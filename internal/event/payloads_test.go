package event

import (
	"bytes"
	"slices"
	"testing"

	"github.com/agnt5/agnt5d/internal/pack"
)

// Payloads changes payloads and object states, and nothing else: not what a newer release wrote, not the list of deleted runs.
func TestPayloadsChangesPayloadsAlone(t *testing.T) {
	events := []Event{
		{Kind: RunStarted, ID: "r", Name: "w", Payload: []byte(`"in"`), By: "ann"},
		{Kind: StepCompleted, Step: 3, Payload: []byte(`"out"`), Objects: []ObjectWrite{{Key: "k", State: []byte(`"state"`), Version: 2}, {Key: "gone"}}, Hash: 7},
		{Kind: RunsDeleted, Payload: AppendDeleted(nil, Deleted{Run: 1, ID: "r"}), Message: "old"},
		{Kind: StepSkipped, Step: 4},
	}
	newer := pack.AppendString(pack.AppendUint(pack.AppendArray(nil, 2), 200), "of tomorrow")
	body := append(AppendBody(nil, events), newer...)
	flip := func(p []byte) ([]byte, error) {
		out := slices.Clone(p)
		slices.Reverse(out)
		return out, nil
	}
	out, changed, err := Payloads(body, flip)
	if err != nil || !changed || !bytes.HasSuffix(out, newer) {
		t.Fatalf("%v %v %x", changed, err, out)
	}
	want := slices.Clone(events)
	want[0].Payload, want[1].Payload = []byte(`"ni"`), []byte(`"tuo"`)
	want[1].Objects = []ObjectWrite{{Key: "k", State: []byte(`"etats"`), Version: 2}, {Key: "gone"}}
	if !bytes.Equal(out[:len(out)-len(newer)], AppendBody(nil, want)) {
		t.Errorf("got  %q\nwant %q", out, AppendBody(nil, want))
	}
	back, _, err := Payloads(out, flip)
	if err != nil || !bytes.Equal(back, body) {
		t.Errorf("%q %v", back, err)
	}
	if same, changed, err := Payloads([]byte{Format + 1, 1, 2, 3}, flip); err != nil || changed || len(same) != 4 {
		t.Errorf("%x %v %v", same, changed, err)
	}
	if _, _, err := Payloads(body[:9], flip); err == nil {
		t.Error("a body that is cut is taken")
	}
}
