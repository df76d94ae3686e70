package archive_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/archive"
	"github.com/agnt5/agnt5d/internal/event"
	"github.com/agnt5/agnt5d/internal/refusal"
	"github.com/agnt5/agnt5d/journal"
)

// book is a log of runs that one signal each moves, every event a record of its own.
type book struct {
	archive.Log // what is not used here
	records     []journal.Record
	heads       map[uint64]journal.Head
	ids         map[string]uint64
	gone        map[string]int64
	damaged     map[uint64]bool
	def         []byte
	digest      string
}

func newBook(t *testing.T) *book {
	t.Helper()
	d := &flow.Definition{Steps: []flow.Step{flow.WaitSignal("go", "go")}}
	body, err := flow.Canonical(d)
	if err != nil {
		t.Fatal(err)
	}
	g, err := flow.NewGraph(d)
	if err != nil {
		t.Fatal(err)
	}
	return &book{heads: map[uint64]journal.Head{}, ids: map[string]uint64{}, gone: map[string]int64{}, damaged: map[uint64]bool{}, def: body, digest: string(g.Digest)}
}

func (b *book) add(run uint64, body []byte) uint64 {
	seq := uint64(len(b.records) + 1)
	r := journal.Record{Seq: seq, Count: 1, Run: max(run, 0), N: 1, At: int64(seq) * 1000, Body: body}
	if run == 0 {
		r.Run = seq
	}
	for _, old := range b.records {
		if old.Run == r.Run {
			r.Prev, r.N = old.Seq, old.N+1
		}
	}
	b.records = append(b.records, r)
	h := b.heads[r.Run]
	h.Run, h.LastSeq = r.Run, seq
	b.heads[r.Run] = h
	return seq
}

func (b *book) start(id string) uint64 {
	run := b.add(0, event.AppendBody(nil, []event.Event{{Kind: event.RunStarted, ID: id, Name: "w", Version: 1, Digest: b.digest, Payload: []byte("1")}}))
	h := b.heads[run]
	h.ID = id
	b.heads[run], b.ids[id] = h, run
	b.add(run, event.AppendBody(nil, []event.Event{{Kind: event.SignalAwaited}}))
	return run
}

func (b *book) err(r *journal.Record) error {
	if !b.damaged[r.Seq] {
		return nil
	}
	return &journal.DamageError{Damage: journal.Damage{Seq: r.Seq, Count: 1, Run: r.Run, Kind: "record", Detail: "a bit has flipped"}}
}

func (b *book) Get(seq uint64) (journal.Record, error) {
	if seq == 0 || seq > uint64(len(b.records)) {
		return journal.Record{}, journal.ErrNotFound
	}
	r := b.records[seq-1]
	return r, b.err(&r)
}

func (b *book) Scan(after uint64, limit int, fn func(journal.Record) error) error {
	for i := after; i < min(uint64(len(b.records)), after+uint64(limit)); i++ {
		if err := errors.Join(b.err(&b.records[i])); err != nil {
			return err
		}
		if err := fn(b.records[i]); err != nil {
			return err
		}
	}
	return nil
}

func (b *book) RunRecords(run, last, fromN uint64, limit int) (out []journal.Record, err error) {
	for i := range b.records {
		if r := &b.records[i]; r.Run == run && r.Seq <= last && r.N >= fromN && len(out) < min(limit, 2) {
			if err := b.err(r); err != nil {
				return nil, err
			}
			out = append(out, *r)
		}
	}
	return out, nil
}

func (b *book) Lookup(id string) (uint64, int64, bool, error) {
	run, ok := b.ids[id]
	return run, b.gone[id], ok, nil
}

func (b *book) Head(run uint64) (journal.Head, bool, error) {
	h, ok := b.heads[run]
	return h, ok, nil
}

func (b *book) DefinitionBody(string) ([]byte, error) { return b.def, nil }

func TestAnIDNamesARunUntilItIsDeleted(t *testing.T) {
	b := newBook(t)
	run := b.start("r")
	b.gone["old"] = 500
	a := archive.New(b)
	if got, err := a.Find("r", 0); got != run || err != nil {
		t.Errorf("r: %d, %v", got, err)
	}
	var deleted *archive.DeletedError
	if _, err := a.Find("old", 499); !errors.As(err, &deleted) || !errors.Is(err, refusal.ErrRunExpired) || deleted.Until != 500 {
		t.Errorf("a deleted run whose id is kept: %v", err)
	}
	for id, now := range map[string]int64{"old": 500, "none": 0} {
		if _, err := a.Find(id, now); !errors.Is(err, refusal.ErrRunNotFound) {
			t.Errorf("%s: %v", id, err)
		}
	}
}

// Damage is told in its place, what follows it comes, and a cursor that stops anywhere goes on where it was.
func TestTheLogIsReadPastDamageAndByCursor(t *testing.T) {
	b := newBook(t)
	for i := range 600 { // more than a page
		b.start(fmt.Sprint("r", i))
	}
	b.damaged[700], b.damaged[701], b.damaged[1] = true, true, true
	a := archive.New(b)
	next := uint64(1)
	for rec, err := range a.Records(0) {
		if gap, is := archive.Gap(err); is != b.damaged[next] || is && gap.Seq != next || !is && (err != nil || rec.Seq != next) {
			t.Fatalf("at %d: %v, %v", next, rec, err)
		}
		next++
	}
	if next != 1201 {
		t.Errorf("the log ended before %d", next)
	}
	delete(b.heads, 5) // deleted, its records not yet
	var seqs []uint64
	for after := uint64(0); ; {
		n := 0
		for ev, err := range a.Events(t.Context(), archive.Range{After: after, Upto: 1190}) {
			if err != nil {
				t.Fatal(err)
			}
			seqs = append(seqs, ev.Seq)
			after = ev.Seq
			if n++; n == 7 {
				break
			}
		}
		if n < 7 {
			break
		}
	}
	// Of run 1 nothing can be shown: its first record, which tells its graph, is damaged. Run 699's start and run 701's are too.
	want := []uint64{}
	for seq := uint64(3); seq <= 1190; seq++ {
		if seq != 5 && seq != 6 && seq != 700 && seq != 701 && seq != 702 {
			want = append(want, seq)
		}
	}
	if fmt.Sprint(seqs) != fmt.Sprint(want) {
		t.Errorf("got %d events, want %d:\n%v", len(seqs), len(want), seqs)
	}
}

func (b *book) Definitions() ([]journal.Definition, error) {
	return []journal.Definition{{Name: "b", Version: 1, Digest: "b1"}, {Name: "a", Version: 3, Digest: "d3"}, {Name: "a", Version: 1, Digest: "d1"}}, nil
}

// A version that the journal has lost is damage. It is what the log says; when that has lost it as well, its number is kept.
func TestAMissingVersionIsDamage(t *testing.T) {
	b := newBook(t)
	for _, e := range []event.Event{{Kind: event.WorkflowRegistered, Name: "a", Version: 3, Digest: "d3"}, {Kind: event.WorkflowUsed, Name: "b", Version: 1, Digest: "b1"}} {
		b.records[b.add(0, event.AppendBody(nil, []event.Event{e}))-1].Run = 0
	}
	all, damages, err := archive.New(b).Versions()
	if err != nil || len(damages) != 1 || damages[0].Kind != "definition" || damages[0].Detail != `workflow "a": version 3 follows version 1` {
		t.Errorf("%v, %v", damages, err)
	}
	got := ""
	for _, d := range all {
		got += fmt.Sprint(d.Name, d.Version, d.Digest, d.Current, " ")
	}
	if got != "a1d1false a2false a3d3true b1b1true " {
		t.Errorf("%s", got)
	}
}

func TestARunFoldsUpToWhatANewerReleaseWrote(t *testing.T) {
	b := newBook(t)
	run := b.start("r")
	b.start("other")
	newer := b.add(run, []byte{0, 0x91, 99})
	a := archive.New(b)
	s, err := a.FoldRun(run, newer)
	why, is := archive.IsNewer(run, err)
	if !is || why.Seq != newer || s == nil || s.Events != 2 {
		t.Fatalf("%v, %+v", err, s)
	}
	var kinds []string
	for ev, err := range a.History(b.heads[run], newer, run) { // after its first event
		if err != nil {
			t.Fatal(err)
		}
		kinds = append(kinds, fmt.Sprint(ev.Kind, ev.N, ev.NewerRelease))
	}
	if fmt.Sprint(kinds) != "[SignalAwaited2 false Kind(99)3 true]" {
		t.Errorf("history: %v", kinds)
	}
	w := a.Walk()
	for rec, err := range a.Records(0) {
		if err = errors.Join(err, w.Record(rec, 0)); err != nil {
			t.Fatal(err)
		}
	}
	if n := w.Newer[run]; n == nil || n.Seq != newer || len(w.States) != 2 || w.States[run].Events != 2 {
		t.Errorf("a walk: %+v, %d states", n, len(w.States))
	}
}
