package shard

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/archive"
	"github.com/agnt5/agnt5d/internal/refusal"
	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/replay"
	"github.com/agnt5/agnt5d/schedules"
)

// Want is what the shard wants to know of the journal. It does not change once Wanted has given it.
type Want struct {
	IDs     []string
	Runs    []Sleeper
	Heads   []uint64 // of runs that are not in memory's books
	Objects []string // keys, for their versions
	Digests []flow.Digest
	Past    []string // ids of runs of due times: did the times have them?
}

// Sleeper is a run whose state only the journal has: it is that of its record Last.
type Sleeper struct{ Run, Last uint64 }

// Rows is what was read for a Want, in the order of its lists.
type Rows struct {
	want    *Want
	ids     []idRow
	runs    []runRow
	heads   []headRow
	objects []objectRow
	graphs  []graphRow
	past    []Past
}

type idRow struct {
	journal.ID
	known bool
	err   error

	head    journal.Head // of the run; Run 0: there is none
	headErr error
}

type runRow struct {
	s    *replay.State
	hurt *journal.Damage // its records are damaged as well as its snapshot: s is what could be folded of them
	err  error
}

type headRow struct {
	head  journal.Head
	known bool
	hurt  bool // its snapshot says that it was quarantined
	err   error
}

type objectRow struct {
	version uint64
	err     error
}

type graphRow struct {
	g   *flow.Graph
	err error
}

// Past says whether a due time had its run: it has a row in its ledger that says so.
type Past struct {
	Started bool
	Err     error
}

// Reads is a journal as a Reader reads it.
type Reads interface {
	journal.Reads
	RowsAfter(prefix, after string, limit int) ([]journal.Row, error)
}

// Reader reads what a shard wants. Read may be called from any goroutine.
type Reader struct {
	Journal Reads
	Archive *archive.Archive     // of the Journal
	Damage  func(journal.Damage) // hears of each snapshot that cannot be read; nil: nobody does
}

// Read reads what is wanted, as it stands in the journal now or later.
func (d *Reader) Read(w *Want) *Rows {
	rows := &Rows{want: w, ids: make([]idRow, len(w.IDs)), runs: make([]runRow, len(w.Runs)), heads: make([]headRow, len(w.Heads)),
		objects: make([]objectRow, len(w.Objects)), graphs: make([]graphRow, len(w.Digests))}
	for i, digest := range w.Digests {
		rows.graphs[i].g, rows.graphs[i].err = d.Archive.Graph(digest)
	}
	for i, id := range ask(w.IDs, func(part []string) []journal.Found[journal.ID] {
		return journal.Ask(d.Journal, &journal.Question{IDs: part}).IDs
	}) {
		rows.ids[i].ID, rows.ids[i].known, rows.ids[i].err = id.Row, id.OK, id.Err
	}
	d.heads(w, rows)
	d.snapshots(w, rows)
	rows.past = d.Past(w.Past)
	for i, o := range ask(w.Objects, func(part []string) []journal.Found[journal.Object] {
		return journal.Ask(d.Journal, &journal.Question{Objects: part}).Objects
	}) {
		rows.objects[i] = objectRow{o.Row.Version, o.Err}
	}
	return rows
}

// Past says whether the due times of runs had them before, as their ledgers know, also when the runs were deleted. Those of one ledger
// are read from the newest to the oldest, and what lies between two of them is passed over when it is more than a page.
func (d *Reader) Past(ids []string) []Past {
	type time struct {
		nominal int64
		past    *Past
	}
	all := make([]Past, len(ids))
	ledgers := map[string][]time{}
	for i, id := range ids {
		if name, nominal, ok := schedules.NameOf(id); ok && nominal != 0 {
			ledgers[name] = append(ledgers[name], time{nominal, &all[i]})
		}
	}
	const page = 100
	for name, times := range ledgers {
		slices.SortFunc(times, func(a, b time) int { return cmp.Compare(b.nominal, a.nominal) })
		prefix := LedgerRows(name)
		for after := ""; len(times) > 0; {
			after = max(after, prefix+schedules.KeyAt(times[0].nominal))
			rows, err := d.Journal.RowsAfter(prefix, after, page)
			for i := 0; i < len(rows) && err == nil; i++ {
				var row schedules.Row
				err = json.Unmarshal(rows[i].Value, &row)
				for len(times) > 0 && times[0].nominal > row.Nominal {
					times = times[1:]
				}
				if len(times) > 0 && times[0].nominal == row.Nominal && row.Hand == "" && row.Started != 0 {
					times[0].past.Started = true
				}
				after = rows[i].Key
			}
			if err != nil {
				for _, t := range times {
					t.past.Err = err
				}
			}
			if err != nil || len(rows) < page {
				break
			}
		}
	}
	return all
}

// ask asks for as many keys at once as a question may have.
func ask[K, T any](keys []K, read func([]K) []journal.Found[T]) []journal.Found[T] {
	if len(keys) <= journal.MaxAsked {
		if len(keys) == 0 {
			return nil
		}
		return read(keys)
	}
	var all []journal.Found[T]
	for len(keys) > 0 {
		n := min(len(keys), journal.MaxAsked)
		all = append(all, read(keys[:n])...)
		keys = keys[n:]
	}
	return all
}

// heads reads those that are wanted, and those of the runs that ids lead to.
func (d *Reader) heads(w *Want, rows *Rows) {
	runs := append([]uint64(nil), w.Heads...)
	var of []*idRow
	for i := range rows.ids {
		if row := &rows.ids[i]; row.err == nil && row.Run != 0 {
			runs, of = append(runs, row.Run), append(of, row)
		}
	}
	for i, h := range ask(runs, func(part []uint64) []journal.Found[journal.Head] {
		return journal.Ask(d.Journal, &journal.Question{Heads: part}).Heads
	}) {
		if i < len(w.Heads) {
			rows.heads[i] = headRow{head: h.Row, known: h.OK, err: h.Err}
		} else {
			row := of[i-len(w.Heads)]
			row.head, row.headErr = h.Row, h.Err
		}
	}
}

// snapshots reads the states of sleepers, and looks at what is left of runs that have ended.
func (d *Reader) snapshots(w *Want, rows *Rows) {
	runs := make([]uint64, 0, len(w.Runs)+len(w.Heads))
	for _, s := range w.Runs {
		runs = append(runs, s.Run)
	}
	runs = append(runs, w.Heads...)
	for i, snap := range ask(runs, func(part []uint64) []journal.Found[journal.Snapshot] {
		return journal.Ask(d.Journal, &journal.Question{Snapshots: part}).Snapshots
	}) {
		if i < len(w.Runs) {
			rows.runs[i] = d.rouse(w.Runs[i], snap)
		} else if snap.OK && snap.Err == nil {
			s, err := d.Archive.Decode(snap.Row.State)
			rows.heads[i-len(w.Runs)].hurt = err == nil && s.Hurt
		}
	}
}

// rouse is wake for a shard that must do something about a damaged run: what can be folded of it is.
func (d *Reader) rouse(run Sleeper, snap journal.Found[journal.Snapshot]) runRow {
	s, err := d.wake(run, snap)
	damage, is := damageOf(run.Run, err)
	if !is {
		return runRow{s: s, err: err}
	}
	f := refold{hurt: &journal.Damage{Run: run.Run, Kind: "snapshot"}} // of its records none is known yet
	for rec, bad := range d.Archive.Records(run.Run - 1) {
		if gap, is := archive.Gap(bad); is {
			if gap.Run == run.Run && f.hurt.Kind == "snapshot" {
				f.hurt = &gap
			}
			continue
		}
		if bad != nil {
			return runRow{err: bad}
		}
		if rec.Seq > run.Last {
			break
		}
		if rec.Run == run.Run {
			f.record(d.Archive, rec)
		}
	}
	if f.newer != nil {
		return runRow{s: f.s, err: &archive.NewerError{Newer: *f.newer}}
	}
	if f.hurt.Kind == "snapshot" {
		if f.s != nil && f.s.LastSeq == run.Last { // what is damaged is not its records, but how they are found
			return runRow{s: f.s}
		}
		f.hurt = &damage
	}
	if d.Damage != nil {
		d.Damage(*f.hurt)
	}
	if s = f.damaged(); s == nil {
		return runRow{err: err}
	}
	s.LastSeq = run.Last
	return runRow{s: s, hurt: f.hurt}
}

// damageOf says whether the records of a run could not be folded because they are damaged, and not because they could not be read now.
func damageOf(run uint64, err error) (journal.Damage, bool) {
	if err == nil || errors.Is(err, refusal.ErrNewerRelease) {
		return journal.Damage{}, false
	}
	var bad *journal.DamageError
	if errors.As(err, &bad) {
		d := bad.Damage
		d.Run = run
		return d, true
	}
	var broken *archive.BrokenError
	if errors.As(err, &broken) {
		return journal.Damage{Run: run, Seq: broken.Seq, Kind: "history", Detail: err.Error()}, true
	}
	return journal.Damage{}, false
}

// wake gives the state of a run that was put away. A snapshot that cannot be read any more is a cache that is lost: the run is
// folded from its records. After an error the state is what could be folded.
func (d *Reader) wake(run Sleeper, snap journal.Found[journal.Snapshot]) (*replay.State, error) {
	err := snap.Err
	if err == nil && (!snap.OK || snap.Row.Seq != run.Last) {
		err = fmt.Errorf("want the one of record %d", run.Last)
	}
	if err == nil {
		s, bad := d.Archive.Decode(snap.Row.State)
		if bad == nil {
			return s, nil
		}
		err = bad
	}
	if d.Damage != nil && !errors.Is(err, refusal.ErrNewerRelease) {
		d.Damage(journal.Damage{Run: run.Run, Kind: "snapshot", Detail: err.Error()})
	}
	s, err := d.Archive.FoldRun(run.Run, run.Last)
	if err == nil {
		s.Released()
	}
	return s, err
}
