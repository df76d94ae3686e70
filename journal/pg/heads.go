package pg

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/agnt5/agnt5d/journal"
)

// headRow is a row of the heads; whole: it is as it was written.
type headRow struct {
	journal.Head
	whole bool
}

func scanHead(r pgx.CollectableRow) (h journal.Head, sum int32, err error) {
	var run, last, events int64
	var version, skipped int32
	var state int16
	var failed []byte
	err = r.Scan(&run, &h.ID, &h.Workflow, &version, &state, &last, &events, &h.CreatedAt, &h.EndedAt, &skipped, &h.Digest, &failed, &sum, &h.Tags)
	h.Run, h.LastSeq, h.Events, h.Version, h.Skipped, h.State, h.Failed = uint64(run), uint64(last), uint64(events), uint32(version), uint32(skipped), uint8(state), string(failed)
	return h, sum, err
}

func (j *Journal) headRows(where string, args ...any) ([]headRow, error) {
	rows, err := j.reads.Query(context.Background(), `SELECT `+j.headCols()+` FROM head WHERE shard = $1 `+where, append([]any{int32(j.o.Shard)}, args...)...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (headRow, error) {
		h, sum, err := scanHead(r)
		return headRow{h, sum == headSum(j.o.Shard, &h)}, err
	})
}

func (h *headRow) err() error {
	if h.whole {
		return nil
	}
	return &journal.DamageError{Damage: journal.Damage{Run: h.Run, Kind: "head", Detail: "its checksum is wrong"}}
}

// Head gives a run's head. A run whose first record is there and whose head is not is damage.
func (j *Journal) Head(run uint64) (journal.Head, bool, error) {
	found := j.heads([]uint64{run})[0]
	return found.Row, found.OK, found.Err
}

func (j *Journal) heads(runs []uint64) []journal.Found[journal.Head] {
	rows, err := j.headRows(`AND run = ANY($2::bigint[])`, numbers(runs))
	out := make([]journal.Found[journal.Head], len(runs))
	at := map[uint64]*headRow{}
	for i := range rows {
		at[rows[i].Run] = &rows[i]
	}
	var missing []uint64
	for i, run := range runs {
		switch h := at[run]; {
		case err != nil:
			out[i].Err = err
		case h == nil:
			missing = append(missing, run)
		case h.err() != nil:
			out[i].Err = h.err()
		default:
			out[i] = journal.Found[journal.Head]{Row: h.Head, OK: true}
		}
	}
	if len(missing) == 0 {
		return out
	}
	begun, err := j.entries(`SELECT `+recordCols+` FROM log WHERE shard = $1 AND seq = ANY($2::bigint[])`, int32(j.o.Shard), numbers(missing))
	for i, run := range runs {
		if at[run] != nil || out[i].Err != nil {
			continue
		}
		out[i].Err = err
		if slices.ContainsFunc(begun, func(e entry) bool { return e.whole && e.Seq == run && e.Run == run }) {
			out[i].Err = &journal.DamageError{Damage: journal.Damage{Run: run, Kind: "head", Detail: "missing"}}
		}
	}
	return out
}

func numbers(list []uint64) []int64 {
	out := make([]int64, len(list))
	for i, n := range list {
		out[i] = int64(min(n, math.MaxInt64))
	}
	return out
}

// Lookup finds a run by its id.
func (j *Journal) Lookup(id string) (run uint64, tombstoneUntil int64, ok bool, err error) {
	found := j.ids([]string{id})[0]
	return found.Row.Run, found.Row.Until, found.OK, found.Err
}

func (j *Journal) ids(ids []string) []journal.Found[journal.ID] {
	type row struct {
		id  string
		row journal.Found[journal.ID]
	}
	rows, err := j.reads.Query(context.Background(), `SELECT id, run, until, sum FROM id WHERE shard = $1 AND id = ANY($2::text[])`, int32(j.o.Shard), ids)
	var list []row
	if err == nil {
		list, err = pgx.CollectRows(rows, func(r pgx.CollectableRow) (x row, err error) {
			var run int64
			var sum int32
			err = r.Scan(&x.id, &run, &x.row.Row.Until, &sum)
			x.row.Row.Run, x.row.OK = uint64(run), true
			if err == nil && sum != idSum(j.o.Shard, x.id, x.row.Row.Run, x.row.Row.Until) {
				x.row = journal.Found[journal.ID]{Err: damaged("id", fmt.Sprintf("%q: its checksum is wrong", x.id))}
			}
			return x, err
		})
	}
	out := make([]journal.Found[journal.ID], len(ids))
	at := map[string]journal.Found[journal.ID]{}
	for _, x := range list {
		at[x.id] = x.row
	}
	for i, id := range ids {
		if out[i] = at[id]; err != nil {
			out[i] = journal.Found[journal.ID]{Err: err}
		}
	}
	return out
}

// Runs counts the runs, open and ended, up to limit.
func (j *Journal) Runs(limit int) (n int, err error) {
	err = j.reads.QueryRow(context.Background(), `SELECT count(*) FROM (SELECT 1 FROM head WHERE shard = $1 LIMIT $2) x`, int32(j.o.Shard), limit).Scan(&n)
	return n, err
}

// States gives how many runs are in each state.
func (j *Journal) States() (map[uint8]int, error) {
	rows, err := j.reads.Query(context.Background(), `SELECT state, count(*) FROM head WHERE shard = $1 GROUP BY state`, int32(j.o.Shard))
	if err != nil {
		return nil, err
	}
	out := map[uint8]int{}
	var state int16
	var n int
	_, err = pgx.ForEachRow(rows, []any{&state, &n}, func() error {
		out[uint8(state)] = n
		return nil
	})
	return out, err
}

// headsPage bounds how many rows are asked for at once.
const headsPage = 1000

// Heads lists runs. The database picks them by an index, and the rest of the filter is looked at here.
func (j *Journal) Heads(f journal.HeadFilter) (journal.HeadPage, error) {
	if f.Limit <= 0 {
		f.Limit = 100
	}
	if f.Look <= 0 {
		f.Look = math.MaxInt
	}
	var found []journal.Head
	place := f.After
	for looked := 0; ; {
		page := min(headsPage, f.Look-looked)
		if f.Keep == nil {
			page = min(page, f.Limit+1)
		}
		where, args := j.where(&f, place, page)
		rows, err := j.headRows(where, args...)
		if err != nil {
			return journal.HeadPage{}, err
		}
		for i := range rows {
			h := &rows[i]
			if err := h.err(); err != nil {
				return journal.HeadPage{}, err
			}
			if f.Match(&h.Head) {
				if len(found) == f.Limit { // one more tells that there is a next page
					return journal.HeadPage{Heads: found, Next: f.Mark(&found[f.Limit-1])}, nil
				}
				found = append(found, h.Head)
			}
			place = f.Mark(&h.Head)
		}
		if looked += len(rows); len(rows) < page {
			return journal.HeadPage{Heads: found}, nil
		}
		if looked >= f.Look {
			return journal.HeadPage{Heads: found, Next: place}, nil
		}
	}
}

// where is the part of a filter that the database looks at. The number of rows that it returns is bounded, whatever it has to look at to
// find them; all that a filter may ask for has an index, but for the start and the beginning of an id.
func (j *Journal) where(f *journal.HeadFilter, place journal.HeadMark, most int) (string, []any) {
	var sql strings.Builder
	args := []any{int32(j.o.Shard)}
	add := func(text string, values ...any) {
		at := make([]any, len(values))
		for i, v := range values {
			args = append(args, v)
			at[i] = len(args)
		}
		fmt.Fprintf(&sql, text, at...)
	}
	if f.Workflow != "" {
		add("AND workflow = $%d ", f.Workflow)
	}
	if len(f.States) > 0 {
		states := make([]int16, len(f.States))
		for i, s := range f.States {
			states[i] = int16(s)
		}
		add("AND state = ANY($%d::smallint[]) ", states)
		if !slices.Contains(f.States, journal.CompletedState) {
			add("AND state <> 1 ") // lets the index by state be used
		}
	}
	if j.tagged {
		for _, tag := range f.Tags {
			add("AND run IN (SELECT run FROM tag WHERE shard = $1 AND tag = $%d) ", tag)
		}
	}
	if f.IDPrefix != "" {
		add("AND starts_with(id, $%d) ", f.IDPrefix)
	}
	if f.Since != 0 {
		add("AND created >= $%d ", f.Since)
	}
	if f.Until != 0 {
		add("AND created < $%d ", f.Until)
	}
	if f.ByEnd || f.EndedSince != 0 || f.EndedUntil != 0 {
		add("AND ended <> 0 AND ended >= $%d ", f.EndedSince)
		if f.EndedUntil != 0 {
			add("AND ended < $%d ", f.EndedUntil)
		}
	}
	switch {
	case place != (journal.HeadMark{}) && f.ByEnd:
		add("AND (ended, run) < ($%d, $%d) ", place.Ended, int64(place.Run))
	case place != (journal.HeadMark{}):
		add("AND run < $%d ", int64(min(place.Run, math.MaxInt64)))
	}
	if f.ByEnd {
		add("ORDER BY ended DESC, run DESC LIMIT $%d", most)
	} else {
		add("ORDER BY run DESC LIMIT $%d", most)
	}
	return sql.String(), args[1:]
}

// Snapshot gives the state of an open run.
func (j *Journal) Snapshot(run uint64) (journal.Snapshot, bool, error) {
	found := j.snapshots([]uint64{run})[0]
	return found.Row, found.OK, found.Err
}

func (j *Journal) snapshots(runs []uint64) []journal.Found[journal.Snapshot] {
	rows, err := j.reads.Query(context.Background(), `SELECT run, seq, sum, state FROM snapshot WHERE shard = $1 AND run = ANY($2::bigint[])`, int32(j.o.Shard), numbers(runs))
	at := map[uint64]journal.Found[journal.Snapshot]{}
	if err == nil {
		var list []journal.Found[journal.Snapshot]
		list, err = pgx.CollectRows(rows, j.scanSnapshot)
		for _, s := range list {
			at[s.Row.Run] = s
		}
	}
	out := make([]journal.Found[journal.Snapshot], len(runs))
	for i, run := range runs {
		if out[i] = at[run]; err != nil {
			out[i].Err = err
		}
	}
	return out
}

func (j *Journal) scanSnapshot(r pgx.CollectableRow) (f journal.Found[journal.Snapshot], err error) {
	var run, seq int64
	var sum int32
	err = r.Scan(&run, &seq, &sum, &f.Row.State)
	f.Row.Run, f.Row.Seq, f.OK = uint64(run), uint64(seq), true
	if err == nil && sum != snapshotSum(j.o.Shard, &f.Row) {
		f.OK, f.Err = false, &journal.DamageError{Damage: journal.Damage{Run: f.Row.Run, Kind: "snapshot", Detail: "its checksum is wrong"}}
	}
	return f, err
}

// Object gives the state of an object.
func (j *Journal) Object(key string) (journal.Object, bool, error) {
	found := j.objects([]string{key})[0]
	return found.Row, found.OK, found.Err
}

const objectCols = `key, version, fence, seq, sum, state`

func (j *Journal) scanObject(r pgx.CollectableRow) (o journal.Object, err error) {
	var version, fence, seq int64
	var sum int32
	err = r.Scan(&o.Key, &version, &fence, &seq, &sum, &o.State)
	o.Version, o.Fence, o.Seq = uint64(version), uint64(fence), uint64(seq)
	if err == nil && sum != objectSum(j.o.Shard, &o) {
		err = damaged("object", fmt.Sprintf("%q: its checksum is wrong", o.Key))
	}
	return o, err
}

func (j *Journal) objects(keys []string) []journal.Found[journal.Object] {
	rows, err := j.reads.Query(context.Background(), `SELECT `+objectCols+` FROM object WHERE shard = $1 AND key = ANY($2::text[])`, int32(j.o.Shard), keys)
	at := map[string]journal.Found[journal.Object]{}
	if err == nil {
		_, err = pgx.CollectRows(rows, func(r pgx.CollectableRow) (struct{}, error) {
			o, err := j.scanObject(r)
			var damage *journal.DamageError
			if err == nil || errors.As(err, &damage) { // one that is damaged hides no other
				at[o.Key] = journal.Found[journal.Object]{Row: o, OK: err == nil, Err: err}
				err = nil
			}
			return struct{}{}, err
		})
	}
	out := make([]journal.Found[journal.Object], len(keys))
	for i, key := range keys {
		if out[i] = at[key]; err != nil {
			out[i].Err = err
		}
	}
	return out
}

// Objects lists objects by key.
func (j *Journal) Objects(prefix, after string, limit int) ([]journal.Object, error) {
	most := int64(math.MaxInt64)
	if limit > 0 {
		most = int64(limit)
	}
	rows, err := j.reads.Query(context.Background(), `SELECT `+objectCols+` FROM object WHERE shard = $1 AND key > $2 AND key >= $3 AND starts_with(key, $3) ORDER BY key LIMIT $4`,
		int32(j.o.Shard), after, prefix, most)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (journal.Object, error) {
		o, err := j.scanObject(r)
		if d := (*journal.DamageError)(nil); errors.As(err, &d) {
			return journal.Object{Key: o.Key, Damaged: "its checksum is wrong"}, nil
		}
		return o, err
	})
}

// Ask answers a question with at most one query for each kind of row.
func (j *Journal) Ask(q *journal.Question) *journal.Answer {
	a := &journal.Answer{}
	if len(q.IDs) > 0 {
		a.IDs = j.ids(q.IDs)
	}
	if len(q.Heads) > 0 {
		a.Heads = j.heads(q.Heads)
	}
	if len(q.Snapshots) > 0 {
		a.Snapshots = j.snapshots(q.Snapshots)
	}
	if len(q.Objects) > 0 {
		a.Objects = j.objects(q.Objects)
	}
	return a
}
