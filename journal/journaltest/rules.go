package journaltest

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/agnt5/agnt5d/journal"
)

func reopening(b *bench) {
	x, y := b.start("x", "order"), b.start("y", "audit")
	for range 10 {
		b.steps(x, 2)
		b.steps(y, 1)
	}
	empty := b.record(x, 1, "")
	large := b.record(y, 1, strings.Repeat("large ", 100_000))
	system := journal.Record{Seq: b.next, Count: 1, At: -5, Body: []byte("of no run")}
	b.next++
	b.all = append(b.all, system)
	b.put(&journal.Batch{Records: []journal.Record{empty, large, system}})
	secret := bytes.Clone(b.log.Secret())
	if len(secret) != 32 {
		b.Errorf("a secret of %d bytes", len(secret))
	}
	b.reopen()
	if !bytes.Equal(b.log.Secret(), secret) {
		b.Error("the secret has changed")
	}
	for _, want := range b.all {
		got, err := b.log.Get(want.Seq)
		if err != nil {
			b.Fatal(err)
		}
		b.want("get", []journal.Record{got}, []journal.Record{want})
	}
}

func order(b *bench) {
	run := b.start("x", "order")
	var got []int
	var all sync.WaitGroup
	for i := range 200 {
		all.Add(1)
		b.log.Append(&journal.Batch{Records: []journal.Record{b.record(run, 1, fmt.Sprint(i))}}, func(err error) {
			if err != nil {
				b.Errorf("batch %d: %v", i, err)
			}
			got = append(got, i)
			all.Done()
		})
	}
	all.Wait()
	if !slices.IsSorted(got) {
		b.Errorf("answered in the order %v", got)
	}
	for _, seq := range []uint64{b.next - 1, b.next + 1} {
		if err := b.try(&journal.Batch{Records: []journal.Record{{Seq: seq, Count: 1, Run: run, Prev: run, N: 1}}}); err == nil {
			b.Errorf("a record at %d was taken, the log goes on at %d", seq, b.next)
		}
	}
	if err := b.log.Probe(); err != nil {
		b.Errorf("probe: %v", err)
	}
	b.steps(run, 1)
	if got := b.log.NextSeq(); got != b.next {
		b.Errorf("the log goes on at %d, want %d", got, b.next)
	}
}

func reading(b *bench) {
	x, y := b.start("x", "order"), b.start("y", "audit")
	for range 20 {
		b.steps(x, 3)
		b.steps(y, 2)
	}
	scan := func(after uint64, limit int) (got []journal.Record) {
		err := b.log.Scan(after, limit, func(r journal.Record) error {
			r.Body = bytes.Clone(r.Body)
			got = append(got, r)
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
		return got
	}
	for i, r := range b.all {
		for seq := r.Seq; seq < r.Seq+uint64(r.Count); seq++ { // each event leads to its record
			got, err := b.log.Get(seq)
			if err != nil {
				b.Fatal(err)
			}
			b.want("get", []journal.Record{got}, b.all[i:i+1])
			b.want("scan", scan(seq-1, 2), b.all[i:min(i+2, len(b.all))])
		}
		b.want("scan after its last event", scan(r.Seq+uint64(r.Count)-1, 1), b.all[i+1:min(i+2, len(b.all))])
	}
	b.want("scan", scan(0, 100_000), b.all)
	if _, err := b.log.Get(b.next); err == nil {
		b.Error("an event that is not there was found")
	}
	stop := errors.New("stop")
	if err := b.log.Scan(0, 10, func(journal.Record) error { return stop }); !errors.Is(err, stop) {
		b.Errorf("scan went on after an error: %v", err)
	}
	many := []uint64{b.all[7].Seq, b.all[2].Seq, b.all[7].Seq}
	var got []journal.Record
	err := b.log.GetMany(many, func(i int, r journal.Record) error {
		if i != len(got) {
			b.Errorf("record %d was given as %d", len(got), i)
		}
		r.Body = bytes.Clone(r.Body)
		got = append(got, r)
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	b.want("get many", got, []journal.Record{b.all[7], b.all[2], b.all[7]})
}

func history(b *bench) {
	x, y := b.start("x", "order"), b.start("y", "audit")
	for i := range 40 {
		var batch journal.Batch
		for range 25 {
			batch.Records = append(batch.Records, b.record(x, 1, "a step"), b.record(y, 2, "another's"))
		}
		if i%10 == 0 {
			batch.Records = append(batch.Records, b.record(x, 1500, "many at once"))
		}
		b.put(&batch)
	}
	var of []journal.Record
	for _, r := range b.all {
		if r.Run == x {
			of = append(of, r)
		}
	}
	last := of[len(of)-1]
	for i := 0; i < len(of); i += 17 {
		for _, n := range []uint64{of[i].N, of[i].N + uint64(of[i].Count) - 1} {
			got, err := b.log.RunRecords(x, last.Seq, n, 30)
			if err != nil {
				b.Fatal(err)
			}
			b.want(fmt.Sprint("from position ", n), got, of[i:min(i+30, len(of))])
		}
	}
	half := of[len(of)/2]
	got, err := b.log.RunRecords(x, half.Seq, half.N-3, 100_000)
	if err != nil || len(got) == 0 || got[len(got)-1].Seq != half.Seq {
		b.Errorf("up to record %d: %d records, %v", half.Seq, len(got), err)
	}
	got, err = b.log.RunRecords(x, last.Seq, last.N+uint64(last.Count), 10)
	if err != nil || len(got) != 0 {
		b.Errorf("behind the end: %d records, %v", len(got), err)
	}
}

func recovery(b *bench) {
	if v := b.recover(); !v.clean[0] || len(v.records) != 0 || len(v.snaps) != 0 {
		b.Errorf("a new journal: %+v", v)
	}
	x, y, z := b.start("x", "order"), b.start("y", "order"), b.start("z", "order")
	b.steps(x, 3)
	if v := b.recover(); v.clean[0] {
		b.Error("nothing was stopped, but the stop was clean")
	} else {
		b.want("without a recovery point", v.records, b.all)
	}
	snap := func(run uint64, state string) journal.Snapshot {
		return journal.Snapshot{Run: run, Seq: b.last[run].Seq, State: []byte(state)}
	}
	base := b.next - 1
	b.put(&journal.Batch{Snapshots: []journal.Snapshot{snap(z, "old z"), snap(x, "x"), snap(y, "y")}, Base: base})
	b.put(&journal.Batch{Snapshots: []journal.Snapshot{snap(z, "z")}})
	from := len(b.all)
	b.steps(z, 2)
	r := b.record(y, 1, "the end of y")
	b.put(&journal.Batch{Records: []journal.Record{r}, Snapshots: []journal.Snapshot{{Run: y}}, Heads: []journal.Head{b.head(y, "y", "order", journal.CompletedState)}})
	for _, again := range []bool{false, true} {
		if again {
			b.reopen()
		}
		v := b.recover()
		b.want("after the recovery point", v.records, b.all[from:])
		if len(v.snaps) != 2 || v.snaps[0].Run != x || string(v.snaps[0].State) != "x" || v.snaps[1].Run != z || string(v.snaps[1].State) != "z" || v.snaps[1].Seq != z {
			b.Errorf("snapshots %+v", v.snaps)
		}
		if v.clean[0] {
			b.Error("the last batch was not that of a clean stop")
		}
	}
	b.put(&journal.Batch{Snapshots: []journal.Snapshot{snap(z, "z, at rest")}, Base: b.next - 1, Clean: true})
	b.reopen()
	if v := b.recover(); !v.clean[0] || len(v.records) != 0 || len(v.snaps) != 2 {
		b.Errorf("after a clean stop: %+v", v)
	}
	b.steps(x, 1)
	if v := b.recover(); v.clean[0] || len(v.records) != 1 {
		b.Errorf("going on after a clean stop: %+v", v)
	}
	stop := errors.New("stop")
	if err := b.log.Recover(stopping{stop}); !errors.Is(err, stop) {
		b.Errorf("recovery went on after an error: %v", err)
	}
}

type stopping struct{ err error }

func (s stopping) Clean(bool)                      {}
func (s stopping) Snapshot(journal.Snapshot) error { return s.err }
func (s stopping) Record(journal.Record) error     { return nil }
func (s stopping) Damaged(journal.Damage) error    { return nil }

func rows(b *bench) {
	run := b.start("x", "order")
	r := b.record(run, 1, "end")
	ended := b.head(run, "x", "order", 2)
	b.put(&journal.Batch{
		Records: []journal.Record{r},
		Heads:   []journal.Head{b.head(run, "x", "order", journal.OpenState), ended},
		Objects: []journal.Object{{Key: "k/1", Version: 1, Fence: 2, Seq: r.Seq, State: []byte("1")}, {Key: "k/1", Version: 2, Fence: 3, Seq: r.Seq, State: []byte("2")},
			{Key: "k/2", Version: 9, State: []byte("{}")}, {Key: "k/3", State: []byte("gone soon")}, {Key: "l/1", State: []byte{}}},
		Rows: []journal.Row{{Key: "p/a", Value: []byte("old")}, {Key: "p/a", Value: []byte("new")}, {Key: "p/b", Value: []byte{}}, {Key: "q", Value: []byte("q")}},
		Definitions: []journal.Definition{{Name: "order", Version: 1, Digest: digest("one"), Body: []byte("one"), At: 7, Current: true},
			{Name: "order", Version: 2, Digest: digest("two"), Body: []byte("two"), At: 8, Current: true}},
	})
	b.put(&journal.Batch{
		Objects:     []journal.Object{{Key: "k/3"}, {Key: "never"}},
		Rows:        []journal.Row{{Key: "q"}, {Key: "never"}},
		Definitions: []journal.Definition{{Name: "audit", Version: 1, Digest: digest("two"), At: 9, Current: true}, {Name: "order", Version: 1, Digest: digest("one"), At: 7, Current: true}},
	})
	b.reopen()
	if h, ok, err := b.log.Head(run); !ok || err != nil || !sameHead(h, ended) {
		b.Errorf("head %+v, %v, %v, want %+v", h, ok, err, ended)
	}
	if _, ok, err := b.log.Head(run + 1); ok || err != nil {
		b.Errorf("the head of no run: %v, %v", ok, err)
	}
	if got, until, ok, err := b.log.Lookup("x"); got != run || until != 0 || !ok || err != nil {
		b.Errorf("id: %d, %d, %v, %v", got, until, ok, err)
	}
	if _, _, ok, err := b.log.Lookup("y"); ok || err != nil {
		b.Errorf("the id of no run: %v, %v", ok, err)
	}
	b.objects(r.Seq)
	b.said(run)
	b.settings()
	b.definitions()
	b.undefined()
}

func (b *bench) objects(seq uint64) {
	if o, ok, err := b.log.Object("k/1"); !ok || err != nil || o.Key != "k/1" || o.Version != 2 || o.Fence != 3 || o.Seq != seq || string(o.State) != "2" {
		b.Errorf("object %+v, %v, %v", o, ok, err)
	}
	if _, ok, err := b.log.Object("k/3"); ok || err != nil {
		b.Errorf("a removed object: %v, %v", ok, err)
	}
	keys := func(prefix, after string, limit int) string {
		list, err := b.log.Objects(prefix, after, limit)
		if err != nil {
			b.Fatal(err)
		}
		var k []string
		for _, o := range list {
			k = append(k, o.Key)
		}
		return strings.Join(k, " ")
	}
	for _, c := range []struct {
		prefix, after string
		limit         int
		want          string
	}{{"", "", 10, "k/1 k/2 l/1"}, {"k/", "", 10, "k/1 k/2"}, {"k/", "", 1, "k/1"}, {"k/", "k/1", 10, "k/2"}, {"", "k/2", 10, "l/1"}, {"m", "", 10, ""}} {
		if got := keys(c.prefix, c.after, c.limit); got != c.want {
			b.Errorf("objects %+v: got %q", c, got)
		}
	}
}

// said looks at what attempts wrote: bounded, in order, replaced in place, and gone with the run.
func (b *bench) said(run uint64) {
	piece := func(step string, attempt uint32, at uint64, text string) journal.Said {
		return journal.Said{Run: run, Step: step, Attempt: attempt, At: at, Text: []byte(text)}
	}
	half := strings.Repeat("h", journal.MaxSaid/2)
	b.put(&journal.Batch{Said: []journal.Said{piece("bb", 1, 0, "old"), piece("a", 2, 0, "x"), piece("a", 1, 0, "one"), piece("a", 1, 3, "two"), piece("bb", 1, 0, "new")}})
	for i := range 4 {
		b.put(&journal.Batch{Said: []journal.Said{piece("bb", 2, uint64(i*len(half)), half)}})
	}
	b.put(&journal.Batch{Said: []journal.Said{piece("c", 1, 9, "behind")}})
	b.reopen()
	for _, c := range []struct {
		step  string
		after journal.SaidMark
		limit int
		want  string
	}{
		{"", journal.SaidMark{}, 0, "a/1+0 a/1+3 a/2+0 c/1+9 bb/1+0 bb/2+65536 bb/2+98304"},
		{"a", journal.SaidMark{}, 0, "a/1+0 a/1+3 a/2+0"},
		{"a", journal.SaidMark{}, 1, "a/1+0 a/1+3"},
		{"", journal.SaidMark{Step: "a", Attempt: 1}, 0, "a/2+0 c/1+9 bb/1+0 bb/2+65536 bb/2+98304"},
		{"bb", journal.SaidMark{Step: "bb", Attempt: 1}, 0, "bb/2+65536 bb/2+98304"},
		{"b", journal.SaidMark{}, 0, ""},
	} {
		got, err := b.log.Said(run, c.step, c.after, c.limit)
		var all []string
		for _, s := range got {
			all = append(all, fmt.Sprintf("%s/%d+%d", s.Step, s.Attempt, s.At))
			if s.Step == "bb" && s.Attempt == 1 && string(s.Text) != "new" {
				b.Errorf("a piece that came again: %q", s.Text)
			}
		}
		if said := strings.Join(all, " "); err != nil || said != c.want {
			b.Errorf("said %+v: %q, %v", c, said, err)
		}
	}
	if got, err := b.log.Said(run+1, "", journal.SaidMark{}, 0); len(got) != 0 || err != nil {
		b.Errorf("another run said %v, %v", got, err)
	}
}

func (b *bench) settings() {
	if v, ok, err := b.log.Row("p/a"); string(v) != "new" || !ok || err != nil {
		b.Errorf("row: %q, %v, %v", v, ok, err)
	}
	if v, ok, err := b.log.Row("p/b"); len(v) != 0 || !ok || err != nil {
		b.Errorf("an empty row: %q, %v, %v", v, ok, err)
	}
	if _, ok, err := b.log.Row("q"); ok || err != nil {
		b.Errorf("a removed row: %v, %v", ok, err)
	}
	if list, err := b.log.Rows("p/"); len(list) != 2 || err != nil || list[0].Key != "p/a" || list[1].Key != "p/b" || string(list[0].Value) != "new" {
		b.Errorf("rows %+v, %v", list, err)
	}
	for _, c := range []struct {
		prefix, after string
		limit         int
		want          string
	}{{"p/", "", 9, "p/a p/b"}, {"p/", "", 1, "p/a"}, {"p/", "p/a", 9, "p/b"}, {"p/", "p/aa", 9, "p/b"}, {"p/", "p/b", 9, ""}, {"", "p/a", 1, "p/b"}} {
		list, err := b.log.RowsAfter(c.prefix, c.after, c.limit)
		var keys []string
		for _, row := range list {
			keys = append(keys, row.Key)
		}
		if got := strings.Join(keys, " "); got != c.want || err != nil {
			b.Errorf("%d rows of %q after %q: %s, %v, want %s", c.limit, c.prefix, c.after, got, err, c.want)
		}
	}
}

func digest(body string) string { return fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(body))) }

func (b *bench) definitions() {
	list, err := b.log.Definitions()
	if err != nil || len(list) != 3 {
		b.Fatalf("definitions %+v, %v", list, err)
	}
	slices.SortFunc(list, func(x, y journal.Definition) int {
		return strings.Compare(fmt.Sprint(x.Name, x.Version), fmt.Sprint(y.Name, y.Version))
	})
	for i, want := range []journal.Definition{
		{Name: "audit", Version: 1, Digest: digest("two"), At: 9, Current: true},
		{Name: "order", Version: 1, Digest: digest("one"), At: 7, Current: true},
		{Name: "order", Version: 2, Digest: digest("two"), At: 8},
	} {
		d := list[i]
		if d.Name != want.Name || d.Version != want.Version || d.Digest != want.Digest || d.At != want.At || d.Current != want.Current {
			b.Errorf("definition %+v, want %+v", d, want)
		}
	}
	if body, err := b.log.DefinitionBody(digest("two")); string(body) != "two" || err != nil {
		b.Errorf("body %q, %v", body, err)
	}
	if _, err := b.log.DefinitionBody(digest("three")); err == nil {
		b.Error("a body that is not there was found")
	}
}

// undefined deletes versions: their numbers stay, and what others use stays.
func (b *bench) undefined() {
	b.put(&journal.Batch{Definitions: []journal.Definition{{Name: "order", Version: 2, At: 8}, {Name: "audit", Version: 1, At: 9}, {Name: "nobody", Version: 1}}})
	b.reopen()
	list, err := b.log.Definitions()
	got := map[string]string{}
	for _, d := range list {
		got[fmt.Sprint(d.Name, d.Version)] = fmt.Sprint(d.Digest, d.Current)
	}
	want := map[string]string{"audit1": "false", "order1": digest("one") + "true", "order2": "false"}
	delete(got, "nobody1") // a version that is not there may have got a row
	if err != nil || !maps.Equal(got, want) {
		b.Errorf("definitions %v, %v, want %v", got, err, want)
	}
	if body, err := b.log.DefinitionBody(digest("one")); string(body) != "one" || err != nil {
		b.Errorf("the body of one that is left: %q, %v", body, err)
	}
	b.put(&journal.Batch{Definitions: []journal.Definition{{Name: "order", Version: 2, Digest: digest("two"), Body: []byte("two"), At: 8, Current: true}}})
	if body, err := b.log.DefinitionBody(digest("two")); string(body) != "two" || err != nil {
		b.Errorf("a body that came again: %q, %v", body, err)
	}
}

func lists(b *bench) {
	var runs []uint64
	flows := []string{"order", "audit", "ord"}
	for i := range 30 {
		r := b.record(0, 3, "start")
		h := b.head(r.Run, fmt.Sprintf("id-%02d", (i*7)%30), flows[i%3], journal.OpenState)
		if i == 11 || i == 24 {
			h.CreatedAt -= int64(5 * i) // the clock was put back
		}
		h.Tags = tagsAt(i, false)
		b.put(&journal.Batch{Records: []journal.Record{r}, Heads: []journal.Head{h}})
		runs = append(runs, r.Run)
	}
	for n := range runs { // they end in another order
		if i := n * 13 % len(runs); i%5 != 0 {
			h := b.head(runs[i], fmt.Sprintf("id-%02d", (i*7)%30), flows[i%3], uint8(i%5))
			h.CreatedAt = b.headOf(runs[i]).CreatedAt
			h.EndedAt = h.CreatedAt + 1000 + int64(i*37%11)
			h.Tags = tagsAt(i, true)
			b.put(&journal.Batch{Heads: []journal.Head{h}})
		}
	}
	open, failed := b.head(runs[1], "id-07", flows[1], journal.OpenState), b.head(runs[2], "id-14", flows[2], 3)
	failed.EndedAt = failed.CreatedAt + 5
	open.Tags, failed.Tags = tagsAt(1, true), nil
	b.put(&journal.Batch{Heads: []journal.Head{open, failed}}) // one is reopened, and one has ended anew
	at := func(i int) int64 { return b.headOf(runs[i]).CreatedAt }
	end := func(i int) int64 { return b.headOf(runs[i]).EndedAt }
	odd := func(h *journal.Head) bool { return h.Run%2 == 1 }
	filters := []journal.HeadFilter{
		{}, {Limit: 4}, {Workflow: "order"}, {Workflow: "ord", Limit: 3}, {Workflow: "none"}, {States: []uint8{journal.OpenState}},
		{States: []uint8{journal.CompletedState}}, {States: []uint8{2}, Workflow: "audit"}, {States: []uint8{journal.CompletedState}, Workflow: "order"},
		{States: []uint8{9}}, {IDPrefix: "id-1"}, {IDPrefix: "id-1", States: []uint8{3}}, {IDPrefix: "none"}, {IDPrefix: "id-", Workflow: "ord", Limit: 2},
		{States: []uint8{3, 2, 3}}, {States: []uint8{4, journal.CompletedState}, Limit: 3}, {States: []uint8{2, 9, journal.OpenState}, Limit: 2},
		{Since: at(10)}, {Until: at(10)}, {Since: at(3), Until: at(9), Workflow: "order"}, {Since: at(29) + 1}, {Until: at(0)}, {Until: at(29) + 1, Limit: 1},
		{EndedSince: end(14)}, {EndedUntil: end(14)}, {EndedSince: end(8), EndedUntil: end(14), States: []uint8{3, 4}}, {EndedSince: 1, Workflow: "audit"},
		{Keep: odd}, {Keep: odd, States: []uint8{2, 3}, Limit: 2}, {Keep: func(*journal.Head) bool { return false }},
		{After: journal.HeadMark{Run: runs[12]}}, {After: journal.HeadMark{Run: runs[20]}, IDPrefix: "id-2"},
		{Tags: []string{"lot:1"}}, {Tags: []string{"lot:1"}, Limit: 2}, {Tags: []string{"lot:1", "team:data"}}, {Tags: []string{"team:data", "lot:2"}, Limit: 3}, {Tags: []string{"lot:1", "lot:2"}},
		{Tags: []string{"lot:"}}, {Tags: []string{"lot:11"}}, {Tags: []string{"ended:yes"}}, {Tags: []string{"ended:no"}, Limit: 2}, {Tags: []string{"team:data"}, Workflow: "order"},
		{Tags: []string{"team:data"}, States: []uint8{2, 3}}, {Tags: []string{"team:data"}, IDPrefix: "id-1"}, {Tags: []string{"team:data"}, Since: at(5), Until: at(20)},
		{Tags: []string{"team:data"}, EndedSince: end(8), EndedUntil: end(14)}, {Tags: []string{"none:x"}}, {Tags: []string{"team:data"}, After: journal.HeadMark{Run: runs[12]}},
	}
	want := map[uint8]int{}
	for _, run := range runs {
		want[b.headOf(run).State]++
	}
	if got, err := b.log.States(); err != nil || !maps.Equal(got, want) {
		b.Errorf("%v runs by state, want %v: %v", got, want, err)
	}
	for _, f := range slices.Clone(filters) {
		if f.ByEnd = f.After.Run == 0; f.ByEnd {
			filters = append(filters, f)
		}
	}
	for _, f := range filters {
		b.sameList(runs, f)
		if f.Look = 3; f.IDPrefix == "" {
			b.sameList(runs, f)
		}
	}
}

func (b *bench) headOf(run uint64) journal.Head {
	h, ok, err := b.log.Head(run)
	if !ok || err != nil {
		b.Fatalf("head of %d: %v, %v", run, ok, err)
	}
	return h
}

// sameList checks every page of a list against the heads of all runs.
func (b *bench) sameList(runs []uint64, f journal.HeadFilter) {
	var want, got []journal.Head
	for _, run := range runs {
		if h := b.headOf(run); f.Match(&h) && (f.After == (journal.HeadMark{}) || f.After.Before(f.Mark(&h))) {
			want = append(want, h)
		}
	}
	slices.SortFunc(want, func(x, y journal.Head) int {
		if f.Mark(&x).Before(f.Mark(&y)) {
			return -1
		}
		return 1
	})
	said := fmt.Sprintf("%+v", f)
	for pages := 0; ; pages++ {
		p, err := b.log.Heads(f)
		if err != nil || pages > 2*len(runs) || f.Limit > 0 && len(p.Heads) > f.Limit {
			b.Fatalf("%s: page %d of %d heads: %v", said, pages, len(p.Heads), err)
		}
		got = append(got, p.Heads...)
		if p.Next == (journal.HeadMark{}) {
			break
		}
		f.After = p.Next
	}
	if !slices.EqualFunc(got, want, sameHead) {
		b.Errorf("%s:\n%+v, want\n%+v", said, got, want)
	}
}

func purges(b *bench) {
	x, y, z := b.start("x", "order"), b.start("y", "order"), b.start("z", "order")
	for range 5 {
		b.steps(x, 2)
		b.steps(y, 2)
		b.steps(z, 1)
	}
	for run, id := range map[uint64]string{x: "x", y: "y"} {
		b.put(&journal.Batch{Heads: []journal.Head{b.head(run, id, "order", journal.CompletedState)}})
	}
	for _, run := range []uint64{x, y, z} {
		b.put(&journal.Batch{Said: []journal.Said{{Run: run, Step: "s", Attempt: 1, Text: []byte("hello")}}})
	}
	said := journal.Record{Seq: b.next, Count: 1, Body: []byte("purged x and y")}
	b.next++
	b.all = append(b.all, said)
	b.put(&journal.Batch{Records: []journal.Record{said}, Purges: []journal.Purge{{Run: x, Until: 12345}, {Run: y}}})
	if said, err := b.log.Said(z, "", journal.SaidMark{}, 0); len(said) != 1 || err != nil {
		b.Errorf("the log of a run that stays: %v, %v", said, err)
	}
	left := slices.DeleteFunc(b.all, func(r journal.Record) bool { return r.Run == x || r.Run == y })
	for _, again := range []bool{false, true} {
		if again {
			b.reopen()
		}
		var got []journal.Record
		err := b.log.Scan(0, 100_000, func(r journal.Record) error {
			r.Body = bytes.Clone(r.Body)
			got = append(got, r)
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
		b.want("what is left", got, left)
		b.want("what recovery gives", b.recover().records, left)
		for _, run := range []uint64{x, y} {
			if _, ok, err := b.log.Head(run); ok || err != nil {
				b.Errorf("head of %d: %v, %v", run, ok, err)
			}
			if said, err := b.log.Said(run, "", journal.SaidMark{}, 0); len(said) != 0 || err != nil {
				b.Errorf("the log of %d: %v, %v", run, said, err)
			}
			if _, err := b.log.Get(run); err == nil {
				b.Errorf("record %d is still there", run)
			}
		}
		if _, until, ok, err := b.log.Lookup("x"); until != 12345 || !ok || err != nil {
			b.Errorf("tombstone: %d, %v, %v", until, ok, err)
		}
		if _, _, ok, err := b.log.Lookup("y"); ok || err != nil {
			b.Errorf("without a tombstone: %v, %v", ok, err)
		}
		if list, err := b.log.Heads(journal.HeadFilter{}); len(list.Heads) != 1 || err != nil || list.Heads[0].Run != z {
			b.Errorf("listed: %+v, %v", list, err)
		}
	}
	if b.start("x", "order") == x {
		b.Error("a run's number was given twice")
	}
	if _, until, ok, err := b.log.Lookup("x"); until != 0 || !ok || err != nil {
		b.Errorf("the id of a new run: %d, %v, %v", until, ok, err)
	}
}

func sweeps(b *bench) {
	purge := func(until int64, ids ...string) journal.Record {
		batch := &journal.Batch{}
		for _, id := range ids {
			run := b.start(id, "order")
			b.steps(run, 2)
			b.put(&journal.Batch{Heads: []journal.Head{b.head(run, id, "order", journal.CompletedState)}})
			batch.Purges = append(batch.Purges, journal.Purge{Run: run, Until: until})
		}
		said := journal.Record{Seq: b.next, Count: 1, Body: []byte("purged " + strings.Join(ids, " "))}
		b.next++
		for i := range batch.Purges {
			batch.Purges[i].Entry = said.Seq
		}
		batch.Records = []journal.Record{said}
		b.put(batch)
		return said
	}
	early, late := purge(1_000, "a", "b"), purge(2_000, "c", "d")
	if again := b.start("b", "order"); again == 0 { // b is a run once more: its tombstone is no more
		b.Fatal("no run")
	}
	there := func(what string, ids map[string]int64, records map[uint64]bool) {
		b.Helper()
		for id, want := range ids {
			_, until, ok, err := b.log.Lookup(id)
			if err != nil || ok != (want >= 0) || ok && until != want {
				b.Errorf("%s: id %s: until %d, %v, %v", what, id, until, ok, err)
			}
		}
		for seq, want := range records {
			if _, err := b.log.Get(seq); (err == nil) != want || err != nil && !errors.Is(err, journal.ErrNotFound) {
				b.Errorf("%s: record %d: %v", what, seq, err)
			}
		}
	}
	b.put(&journal.Batch{Sweep: 1_000})
	there("before anything is over", map[string]int64{"a": 1_000, "b": 0, "c": 2_000, "d": 2_000}, map[uint64]bool{early.Seq: true, late.Seq: true})
	b.put(&journal.Batch{Sweep: 1_001})
	b.reopen()
	there("in between", map[string]int64{"a": -1, "b": 0, "c": 2_000, "d": 2_000}, map[uint64]bool{early.Seq: false, late.Seq: true})
	b.put(&journal.Batch{Sweep: 5_000})
	there("at the end", map[string]int64{"a": -1, "b": 0, "c": -1, "d": -1}, map[uint64]bool{early.Seq: false, late.Seq: false})
	b.reopen()
	b.recover()
	if err := b.log.Scan(0, 0, func(journal.Record) error { return nil }); err != nil {
		b.Errorf("reading on: %v", err)
	}
}

func together(b *bench) {
	run := b.start("x", "order")
	b.steps(run, 200)
	var written sync.WaitGroup
	records := slices.Clone(b.all)
	n := 0
	err := b.log.Scan(0, len(records), func(r journal.Record) error {
		got, err := b.log.Get(r.Seq) // a reader reads
		if err != nil {
			return err
		}
		if !sameRecord(got, records[n]) || !sameRecord(r, records[n]) {
			b.Errorf("record %d changed while it was read", n)
		}
		n++
		written.Add(1)
		b.log.Append(&journal.Batch{Records: []journal.Record{b.record(run, 1, strings.Repeat("meanwhile", 50))}}, func(err error) {
			if err != nil {
				b.Error(err)
			}
			written.Done()
		})
		return nil
	})
	if err != nil || n != len(records) {
		b.Errorf("%d records, %v", n, err)
	}
	written.Wait()
	b.reopen()
}
