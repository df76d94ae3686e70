package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/event"
	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/journal/bolt"
	"github.com/agnt5/agnt5d/replay"
	"github.com/agnt5/agnt5d/worker"
	"github.com/google/go-cmp/cmp"
)

// bodies is what a newer release may write as a record.
var bodies = map[string][]byte{
	"kind":   {0, 0x91, 100},
	"fields": append(append([]byte{0}, 0x96, byte(event.SignalReceived)), "\xa1s\xa2id\xc0\xa1b\x01"...),
	"format": {9, 1, 2, 3},
	"mixed":  append(event.AppendBody(nil, []event.Event{{Kind: event.SignalReceived, Name: "other", ID: "x"}}), 0x92, 100, 0x81, 0xa1, 'k', 0x93, 1, 2, 3),
}

// newerWriter writes to a journal what a newer release would.
type newerWriter struct {
	t *testing.T
	*bolt.Journal
	last map[uint64]journal.Record
}

func openNewer(t *testing.T, path string) *newerWriter {
	t.Helper()
	j, err := bolt.Open(path, bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	w := &newerWriter{t, j, map[uint64]journal.Record{}}
	if err := j.Scan(0, 0, func(r journal.Record) error {
		w.last[r.Run] = r
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *newerWriter) run(id string) uint64 {
	w.t.Helper()
	run, _, ok, err := w.Lookup(id)
	if !ok || err != nil {
		w.t.Fatalf("%s: %v", id, err)
	}
	return run
}

func (w *newerWriter) put(b *journal.Batch) {
	w.t.Helper()
	done := make(chan error, 1)
	w.Append(b, func(err error) { done <- err })
	if err := <-done; err != nil {
		w.t.Fatal(err)
	}
}

// write appends a record of count events to a run, and gives its sequence.
func (w *newerWriter) write(run uint64, count uint32, body []byte, more func(*journal.Batch)) uint64 {
	w.t.Helper()
	last := w.last[run]
	r := journal.Record{Seq: w.NextSeq(), Count: count, Run: run, At: last.At + 1, Body: body}
	if run != 0 {
		r.Prev, r.N = last.Seq, last.N+uint64(last.Count)
	}
	w.last[run] = r
	b := &journal.Batch{Records: []journal.Record{r}}
	if more != nil {
		more(b)
	}
	w.put(b)
	return r.Seq
}

// kept is all that the journal holds about some runs, and what a start would be told of them.
type kept struct {
	Records, Recovered []journal.Record
	Heads              []journal.Head
	Snapshots          []journal.Snapshot

	runs []uint64
}

func (k *kept) Clean(bool) {}

func (k *kept) Snapshot(journal.Snapshot) error { return nil }
func (k *kept) Damaged(d journal.Damage) error  { return &journal.DamageError{Damage: d} }
func (k *kept) Record(r journal.Record) error {
	if slices.Contains(k.runs, r.Run) {
		r.Body = slices.Clone(r.Body)
		k.Recovered = append(k.Recovered, r)
	}
	return nil
}

func keptOf(t *testing.T, path string, runs []uint64) *kept {
	t.Helper()
	j, err := bolt.OpenReadOnly(path)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	k := &kept{runs: runs}
	err = errors.Join(j.Recover(k), j.Scan(0, 0, func(r journal.Record) error {
		if slices.Contains(runs, r.Run) {
			r.Body = slices.Clone(r.Body)
			k.Records = append(k.Records, r)
		}
		return nil
	}))
	for _, run := range runs {
		h, _, herr := j.Head(run)
		s, ok, serr := j.Snapshot(run)
		if err = errors.Join(err, herr, serr); ok {
			k.Snapshots = append(k.Snapshots, s)
		}
		k.Heads = append(k.Heads, h)
	}
	if err != nil {
		t.Fatal(err)
	}
	if v, err := j.Verify(t.Context(), func(d journal.Damage) { t.Errorf("damage: %+v", d) }); err != nil || v.Damages > 0 {
		t.Error(err)
	}
	return k
}

// A journal comes back from a newer release. The runs that it wrote on, in ways that this one does not understand, wait: they
// say so, take nothing, keep their ids and object keys, and through any work on other runs, recovery points and clean stops
// nothing of them changes, in the journal and in what the newer release will be told when it starts again. The others, and the
// feed, go on.
func TestRunsOfANewerReleaseWaitForIt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "runs.db")
	o := engine.Options{CheckpointBytes: 1}
	old := func() *engine.Engine {
		t.Helper()
		eng, err := engine.Open(path, o)
		if err != nil {
			t.Fatal(err)
		}
		if err := engine.HandleRaw(eng, "svc", "quick", func(context.Context, *worker.Task) (json.RawMessage, error) { return nil, nil }); err != nil {
			t.Fatal(err)
		}
		return eng
	}
	eng := old()
	register(t, eng, "w", flow.WaitSignal("s", "go"), flow.Task("a", "svc", "quick", flow.After("s")))
	register(t, eng, "keyed", flow.Task("a", "svc", "nobody", flow.Keys("k")))
	ids := []string{"kind", "fields", "format", "mixed", "snapshot", "keyed"} // they wait
	for _, id := range append(ids, "state", "ended", "well") {
		name := "w"
		if id == "keyed" {
			name = "keyed"
		}
		if _, err := eng.Start(t.Context(), name, id, engine.WithID(id)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := eng.Start(t.Context(), "keyed", nil, engine.WithID("behind")); err != nil {
		t.Fatal(err)
	}
	if err := eng.Close(); err != nil {
		t.Fatal(err)
	}

	w := openNewer(t, path)
	var runs []uint64
	for _, id := range ids {
		runs = append(runs, w.run(id))
	}
	ended := w.run("ended")
	w.write(ended, 2, append(slices.Clone(bodies["kind"]), 0x91, byte(event.RunCompleted)), func(b *journal.Batch) {
		h, _, err := w.Head(ended)
		if err != nil {
			t.Fatal(err)
		}
		h.State, h.LastSeq, h.Events, h.EndedAt, h.Digest = 1, b.Records[0].Seq, b.Records[0].N+1, b.Records[0].At, []byte("of the newer release")
		b.Heads, b.Snapshots, b.Base = []journal.Head{h}, []journal.Snapshot{{Run: ended}}, b.Records[0].Seq
	})
	w.write(0, 1, bodies["kind"], nil)
	w.write(0, 3, bodies["format"], nil)
	first := map[string]uint64{}
	for _, id := range ids {
		body, count := bodies[id], uint32(1)
		if body == nil {
			body = bodies["kind"]
		}
		if id == "mixed" {
			count = 2
		}
		first[id] = w.write(w.run(id), count, body, nil)
	}
	for _, id := range []string{"snapshot", "state"} { // of an encoding to come; the events of "state" are understood all the same
		n := w.run(id)
		s, ok, err := w.Snapshot(n)
		if !ok || err != nil {
			t.Fatal(err)
		}
		s.State = append([]byte{replay.Encoding + 1}, s.State...)
		w.put(&journal.Batch{Snapshots: []journal.Snapshot{{Run: n, Seq: w.last[n].Seq, State: s.State}}})
	}
	w.write(runs[0], 1, event.AppendBody(nil, []event.Event{{Kind: event.SignalReceived, Name: "go", ID: "late"}}), nil) // understood, but after what is not
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	runs = append(runs, ended)
	before := keptOf(t, path, runs)

	for round := range 3 {
		eng := old()
		if d := eng.Damages(); len(d) > 0 {
			t.Fatalf("damage: %v", d)
		}
		for _, id := range ids {
			st, err := eng.Status(t.Context(), id)
			if err != nil {
				t.Fatalf("%s: %v", id, err)
			}
			if st.State != "running" || len(st.Reasons) != 1 || st.Reasons[0].Code != "newer_release" || len(st.Steps) == 0 ||
				!strings.Contains(st.Reasons[0].Detail, fmt.Sprintf("record %d was written by a newer release of agnt5d", first[id])) {
				t.Errorf("%s: %s %+v", id, st.State, st.Reasons)
			}
			why, err := eng.Explain(t.Context(), id)
			if err != nil || len(why) != 1 || why[0].Code != "newer_release" {
				t.Errorf("%s: %v %v", id, why, err)
			}
			for what, err := range map[string]error{
				"signal": eng.Signal(t.Context(), id, "go", nil), "cancel": eng.Cancel(t.Context(), id, ""), "retry": eng.Retry(t.Context(), id, ""),
				"fire": eng.FireTimer(t.Context(), id, "x"), "delete": eng.Delete(t.Context(), id),
			} {
				if !errors.Is(err, engine.ErrNewerRelease) {
					t.Errorf("%s %s: %v", what, id, err)
				}
			}
			if _, err := eng.Wait(t.Context(), id); !errors.Is(err, engine.ErrNewerRelease) {
				t.Errorf("wait for %s: %v", id, err)
			}
			name := "w"
			if id == "keyed" {
				name = "keyed"
			}
			if _, created, err := eng.StartRun(t.Context(), name, id, engine.WithID(id)); created || err != nil {
				t.Errorf("the same start of %s: created %t, %v", id, created, err)
			}
			if _, err := eng.Start(t.Context(), "w", "another input", engine.WithID(id)); !errors.Is(err, engine.ErrRunConflict) {
				t.Errorf("another start of %s: %v", id, err)
			}
			history, err := eng.History(t.Context(), id, 0, 0)
			if err != nil {
				t.Errorf("%s: %v", id, err)
			}
			var opaque []engine.Event
			for _, e := range history {
				if e.NewerRelease {
					opaque = append(opaque, e)
				}
			}
			kind := map[string]string{"fields": "SignalReceived", "format": "Kind(0)"}[id]
			if kind == "" {
				kind = "Kind(100)"
			}
			if len(opaque) != 1 || opaque[0].Kind != kind || opaque[0].Data != nil || opaque[0].N == 0 {
				t.Errorf("%s: %+v", id, opaque)
			}
		}
		if st, err := eng.Status(t.Context(), "ended"); err != nil || st.State != "completed" || st.CompletedAt == "" || st.Reasons[0].Code != "newer_release" {
			t.Errorf("%+v %v", st, err)
		}
		if err := eng.Signal(t.Context(), "ended", "go", nil); !errors.Is(err, engine.ErrNewerRelease) {
			t.Errorf("signal to one that has ended: %v", err)
		}
		heads, err := eng.List(t.Context(), engine.ListFilter{})
		if err != nil {
			t.Fatal(err)
		}
		waiting := 0
		for _, h := range heads {
			if strings.HasPrefix(h.Error, "newer_release: ") {
				waiting++
			}
		}
		if waiting != len(ids) {
			t.Errorf("%d of the list wait: %+v", waiting, heads)
		}
		why, err := eng.Explain(t.Context(), "behind")
		if err != nil || len(why) != 1 || why[0].Code != "key_held" || !strings.Contains(why[0].Detail, "held by run keyed; that one waits for a newer release") {
			t.Errorf("behind: %+v %v", why, err)
		}
		// Other runs go on, through one recovery point after the other.
		for n := range 20 {
			id := fmt.Sprintf("r%d-%d", round, n)
			if _, err := eng.Start(t.Context(), "w", nil, engine.WithID(id)); err != nil {
				t.Fatal(err)
			}
			if n%2 > 0 {
				continue // it stays open
			}
			if err := eng.Signal(t.Context(), id, "go", nil); err != nil {
				t.Fatal(err)
			}
			if st, err := eng.Wait(t.Context(), id); err != nil || st.State != "completed" {
				t.Fatal(st, err)
			}
		}
		if id := []string{"well", "state", "r0-1"}[round]; true {
			if err := eng.Signal(t.Context(), id, "go", nil); err != nil {
				t.Fatalf("%s: %v", id, err)
			}
			if st, err := eng.Wait(t.Context(), id); err != nil || st.State != "completed" {
				t.Fatal(st, err)
			}
		}
		durable := eng.Durable() // a recovery point may still be under way
		events, next, err := eng.Feed(t.Context(), 0, 1<<20)
		if err != nil || next < durable {
			t.Errorf("the feed ends at %d of %d: %v", next, durable, err)
		}
		opaque := 0
		for _, e := range events {
			if e.NewerRelease {
				opaque++
			}
		}
		if want := len(ids) + 1 + 4; opaque != want {
			t.Errorf("%d events of a newer release in the feed, want %d", opaque, want)
		}
		if err := eng.Close(); err != nil {
			t.Fatal(err)
		}
		after := keptOf(t, path, runs)
		if diff := cmp.Diff(before, after, cmp.AllowUnexported(kept{}, journal.Record{})); diff != "" {
			t.Fatalf("round %d: something of the runs that wait has changed (-before +after)\n%s", round, diff)
		}
	}
}

// A definition that this release cannot parse, under a digest that holds, is of a newer release: its runs wait, and starting one
// is refused.
func TestRunsOfANewerDefinitionWait(t *testing.T) {
	path := filepath.Join(t.TempDir(), "runs.db")
	eng, err := engine.Open(path, engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	register(t, eng, "w", flow.WaitSignal("s", "go"))
	if err := eng.Close(); err != nil {
		t.Fatal(err)
	}
	w := openNewer(t, path)
	body := []byte(`{"steps":[{"name":"a","type":"wait_for_weather"}]}`)
	digest := string(flow.DigestOf(body))
	seq := w.NextSeq()
	w.write(seq, 1, event.AppendBody(nil, []event.Event{{Kind: event.RunStarted, ID: "r", Name: "future", Version: 1, Digest: digest, Payload: []byte("1")}}), func(b *journal.Batch) {
		b.Records[0].Prev, b.Records[0].N = 0, 1
		b.Definitions = []journal.Definition{{Name: "future", Version: 1, Digest: digest, Body: body, At: 1, Current: true}}
		b.Heads = []journal.Head{{Run: seq, ID: "r", Workflow: "future", Version: 1, LastSeq: seq, Events: 1, CreatedAt: 1}}
	})
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	before := keptOf(t, path, []uint64{seq})
	if eng, err = engine.Open(path, engine.Options{CheckpointBytes: 1}); err != nil {
		t.Fatal(err)
	}
	if d := eng.Damages(); len(d) > 0 {
		t.Errorf("damage: %v", d)
	}
	st, err := eng.Status(t.Context(), "r")
	if err != nil || st.State != "running" || st.WorkflowName != "future" || len(st.Reasons) != 1 || st.Reasons[0].Code != "newer_release" {
		t.Errorf("%+v %v", st, err)
	}
	if events, err := eng.History(t.Context(), "r", 0, 0); err != nil || len(events) != 1 || events[0].Kind != "RunStarted" || events[0].NewerRelease {
		t.Errorf("%+v %v", events, err)
	}
	for what, err := range map[string]error{"cancel": eng.Cancel(t.Context(), "r", ""), "start": start(t.Context(), eng, "future")} {
		if !errors.Is(err, engine.ErrNewerRelease) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := start(t.Context(), eng, "w"); err != nil {
		t.Error(err)
	}
	durable := eng.Durable() // a recovery point may still be under way
	if _, next, err := eng.Feed(t.Context(), 0, 1<<20); err != nil || next < durable {
		t.Errorf("the feed ends at %d of %d: %v", next, durable, err)
	}
	if err := eng.Close(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, keptOf(t, path, []uint64{seq}), cmp.AllowUnexported(kept{}, journal.Record{})); diff != "" {
		t.Errorf("the run that waits has changed (-before +after)\n%s", diff)
	}
}

func start(ctx context.Context, eng *engine.Engine, workflow string) error {
	_, err := eng.Start(ctx, workflow, nil)
	return err
}
