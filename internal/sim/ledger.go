package sim

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/agnt5/agnt5d/internal/shard"
	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/schedules"
)

// ledgerRows is the prefix of the rows of all ledgers.
var ledgerRows = strings.TrimSuffix(shard.LedgerRows(""), "/")

// book is the ledger of a schedule as the journal has it. What must hold: each due time of each revision has exactly one row, from the
// moment at which the revision was made to the moment at which the next one was; a row with a run stands in the batch that started that
// run, and is never changed.
type book struct {
	state []byte
	rows  map[string]schedules.Row
	plans map[uint32]*schedules.Definition // by revision
}

// scheduled looks at the rows of a batch that became durable; fresh false: at those that stand in a copy that was put back.
func (j *Judge) scheduled(rows []journal.Row, fresh bool) {
	touched, before := map[string]*book{}, map[string][]byte{}
	started := map[string]string{} // schedule by run
	of := func(name string) *book {
		if j.books[name] == nil {
			j.books[name] = &book{rows: map[string]schedules.Row{}, plans: map[uint32]*schedules.Definition{}}
		}
		if b := j.books[name]; touched[name] == nil {
			touched[name], before[name] = b, b.state
		}
		return j.books[name]
	}
	for _, r := range rows {
		if name, ok := strings.CutPrefix(r.Key, shard.ScheduleRows); ok {
			st, err := schedules.Decode(r.Value)
			if err != nil {
				j.w.fail("schedule %s: %v", name, err)
			}
			b := of(name)
			b.state, b.plans[st.Revision] = r.Value, &st.Def
		}
		if rest, ok := strings.CutPrefix(r.Key, ledgerRows); ok {
			name, key, _ := strings.Cut(rest, "/")
			if run := j.row(name, of(name), key, r.Value); run != "" {
				started[run] = name
			}
		}
	}
	for run, name := range started {
		if !fresh {
			break
		}
		j.startsTagged(name, run, before[name], touched[name].state)
	}
	for _, name := range slices.Sorted(maps.Keys(touched)) {
		if j.w.chance(10) {
			touched[name].check(j.w, name, false)
		}
	}
}

// row puts a row into its book. It gives the run that was started with it; "": none.
func (j *Judge) row(name string, b *book, key string, value []byte) (run string) {
	w := j.w
	old, had := b.rows[key]
	if value == nil {
		if had && !folds(old.Outcome) {
			w.fail("schedule %s: the row %s is removed: %+v", name, key, old)
		}
		delete(b.rows, key)
		return ""
	}
	var row schedules.Row
	if err := json.Unmarshal(value, &row); err != nil || row.Key() != key {
		w.fail("schedule %s: row %s: %+v, %v", name, key, row, err)
	}
	w.op("row " + string(row.Outcome))
	if row.Count > 1 {
		w.op("a row stands for many")
	}
	if had && old.Outcome != row.Outcome {
		w.op(fmt.Sprintf("row %s becomes %s", old.Outcome, row.Outcome))
	}
	if had && old.Started != 0 && string(must(json.Marshal(old))) != string(value) {
		w.fail("schedule %s: the row of %s, which was started, is changed:\n%+v\n%+v", name, old.Run, old, row)
	}
	if row.Started != 0 && j.byID[row.Run] == nil {
		w.fail("schedule %s: the row of %s says that %s was started, and it was not", name, row.Local, row.Run)
	}
	b.rows[key] = row
	if row.Started == 0 || had && old.Started != 0 {
		return ""
	}
	return row.Run
}

func folds(o schedules.Outcome) bool {
	return o == schedules.Missed || o == schedules.PausedThen || o == schedules.Excluded
}

func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}

// span is due times that one row stands for, or two: those that were excluded and those that were not.
type span struct {
	first, last, n int64
	filled         bool // by hand: a backfill
}

// check holds the ledger against the plans. done: everything that is due has been decided.
func (b *book) check(w *World, name string, done bool) {
	st, err := schedules.Decode(b.state)
	if err != nil {
		w.fail("schedule %s: %v", name, err)
	}
	at := w.moments[name]
	if at == nil {
		at = &moments{}
	}
	for _, revision := range slices.Sorted(maps.Keys(b.plans)) {
		var plan int
		if _, err := fmt.Sscanf(b.plans[revision].Note, "plan %d", &plan); err != nil {
			w.fail("schedule %s: %v", name, err)
		}
		p := plans[plan]
		next := func(after int64) int64 { // the first due time behind a moment
			return after - mod(after-p.behind, p.period) + p.period
		}
		began, known := at.put[revision]
		since := max(began.now, began.lastRun)
		all := b.spans(revision, since, p.period)
		if i := slices.IndexFunc(all, func(s span) bool { return !s.filled }); !known && i >= 0 { // since a copy was put back
			since = all[i].first - 1
			all = all[i:]
		}
		where := fmt.Sprintf("schedule %s revision %d (%s)", name, revision, p.text)
		for i, s := range all {
			if mod(s.first-p.behind, p.period) != 0 || s.n != (s.last-s.first)/p.period+1 {
				w.fail("%s: a row for %d times from %d to %d%s", where, s.n, s.first, s.last, b.show())
			}
			if s.filled && b.plans[revision].MaxRuns > 0 { // a backfill goes on behind its end
				all = all[:i]
				break
			}
			if i > 0 && s.first != next(all[i-1].last) {
				w.fail("%s: after the row for %d comes one for %d%s", where, all[i-1].last, s.first, b.show())
			}
		}
		if known && len(all) > 0 && all[0].first != next(since) {
			w.fail("%s: it begins at %d, and its first row is for %d, not %d", where, since, all[0].first, next(since))
		}
		// Where it ends: at the latest when the next revision begins, or the schedule is deleted.
		until := w.wall
		if over, is := at.deleted[revision]; is && (st.Deleted != 0 || st.Revision != revision) {
			until = over
		} else if over, is := at.put[revision+1]; is && st.Revision > revision {
			until = over.now
		} else if !done || st.Revision != revision || st.Deleted != 0 {
			continue
		}
		if b.plans[revision].MaxRuns > 0 || !known { // it ended when it had its runs
			continue
		}
		last := since
		if len(all) > 0 {
			last = all[len(all)-1].last
		}
		if next(last)+p.jitter <= until {
			w.fail("%s: it lasts until %d, its last row is for %d, and %d has none; %+v, the schedule has revision %d, %d runs open, deleted at %d, paused %+v%s", where, until, last, next(last), *at, st.Revision, len(st.Open), st.Deleted, st.Paused, b.show())
		}
	}
	runs := map[string]string{}
	for _, key := range slices.Sorted(maps.Keys(b.rows)) {
		if row := b.rows[key]; row.Started != 0 {
			if runs[row.Run] != "" {
				w.fail("schedule %s: %s stands in two rows, %s and %s", name, row.Run, runs[row.Run], key)
			}
			runs[row.Run] = key
		}
	}
	for _, t := range w.judge.order {
		if of, _, ok := schedules.NameOf(t.id); ok && of == name && runs[t.id] == "" {
			w.fail("schedule %s: run %s has no row", name, t.id)
		}
	}
}

// spans are the rows of a revision's due times, ascending. A time that was backfilled may be older than the revision, and may stand in
// a row of several as well.
func (b *book) spans(revision uint32, since, period int64) (all []span) {
	for _, key := range slices.Sorted(maps.Keys(b.rows)) {
		row := b.rows[key]
		if row.Revision != revision || row.Hand != "" || row.By != "" && row.Nominal <= since {
			continue
		}
		s := span{row.Nominal, row.Nominal, row.Times(), row.By != ""}
		if row.Count > 0 {
			s.first -= s.first % 10 // of two rows for the same times the second stands a ms behind
			s.last = row.Last
		}
		all = append(all, s)
	}
	slices.SortFunc(all, func(x, y span) int { return cmp.Or(cmp.Compare(x.first, y.first), cmp.Compare(y.last, x.last)) })
	out := all[:0]
	for _, s := range all {
		if n := len(out); n > 0 {
			before := &out[n-1]
			if s.first == before.first && s.last == before.last && s.n > 0 && before.n < (s.last-s.first)/period+1 {
				before.n += s.n
				continue
			}
			if s.filled && s.last <= before.last && before.n > 1 {
				continue
			}
		}
		out = append(out, s)
	}
	return out
}

// show prints the rows.
func (b *book) show() (text string) {
	keys := slices.Sorted(maps.Keys(b.rows))
	slices.Reverse(keys)
	for _, key := range keys {
		row := b.rows[key]
		text += fmt.Sprintf("\n  %d…%d ×%d revision %d %s %s %s, decided at %d", row.Nominal, row.Last, row.Count, row.Revision, row.Outcome, row.Run, row.Detail, row.Decided)
	}
	return text
}

func mod(a, b int64) int64 { return ((a % b) + b) % b }
