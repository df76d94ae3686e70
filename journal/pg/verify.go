package pg

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/agnt5/agnt5d/journal"
)

// Verify reads all tables, and tells fn of all that is not as it was written: every checksum, the links of every run, gaps in the log that
// no purge explains, heads against the records they name, ids against heads, definitions against their digests. It may run beside an
// engine at work. The error is that it could not go on; damage alone is none.
func (j *Journal) Verify(ctx context.Context, fn func(journal.Damage)) (journal.Verified, error) {
	v := verifier{j: j, ctx: ctx, fn: fn, upto: j.NextSeq(), runs: map[uint64]runEnd{}}
	for _, step := range []func() error{v.log, v.heads, v.ids, v.snapshots, v.objects, v.definitions, v.settings, v.others} {
		if err := errors.Join(step(), ctx.Err()); err != nil {
			return v.Verified, err
		}
	}
	return v.Verified, nil
}

type verifier struct {
	journal.Verified
	j    *Journal
	ctx  context.Context
	fn   func(journal.Damage)
	upto uint64
	runs map[uint64]runEnd
	hurt map[uint64]bool // runs with a record that is damaged
}

// runEnd is how far a run has been read.
type runEnd struct{ last, n uint64 }

func (v *verifier) report(d journal.Damage) {
	v.Damages++
	v.fn(d)
}

var errStop = errors.New("stop")

func (v *verifier) log() error {
	v.hurt = map[uint64]bool{}
	for after := v.j.o.Shard.First() - 1; ; {
		err := v.j.Scan(after, 0, func(r journal.Record) error {
			if r.Seq >= v.upto {
				return errStop
			}
			after = r.End() - 1
			v.record(&r)
			return v.ctx.Err()
		})
		var damage *journal.DamageError
		if !errors.As(err, &damage) || damage.Seq == 0 {
			if errors.Is(err, errStop) {
				err = nil
			}
			return err
		}
		v.hurt[damage.Run] = true
		v.report(damage.Damage)
		after = damage.End() - 1
	}
}

func (v *verifier) record(r *journal.Record) {
	v.Records++
	v.Events += uint64(r.Count)
	v.Bytes += uint64(len(r.Body))
	if r.Run == 0 {
		return
	}
	before, known := v.runs[r.Run]
	if !v.hurt[r.Run] && (r.Prev != before.last || r.N != before.n+1 || known != (r.Seq != r.Run)) {
		v.report(journal.Damage{Seq: r.Seq, Run: r.Run, Kind: "link", Detail: fmt.Sprintf("leads to %d, the record before it is %d", r.Prev, before.last)})
	}
	v.runs[r.Run] = runEnd{r.Seq, r.Last()}
}

// each reads a table in parts, by what its primary key has behind the shard.
func each[T any](v *verifier, sql string, scan func(pgx.CollectableRow) (T, error), look func(T)) error {
	rows, err := v.j.reads.Query(v.ctx, sql, int32(v.j.o.Shard))
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		x, err := scan(rows)
		if err != nil {
			return err
		}
		look(x)
	}
	return rows.Err()
}

func (v *verifier) heads() error {
	seen := map[uint64]bool{}
	err := each(v, `SELECT `+v.j.headCols()+` FROM head WHERE shard = $1 ORDER BY run`, func(r pgx.CollectableRow) (headRow, error) {
		h, sum, err := scanHead(r)
		return headRow{h, sum == headSum(v.j.o.Shard, &h)}, err
	}, func(h headRow) {
		if h.Run >= v.upto {
			return
		}
		v.Runs++
		seen[h.Run] = true
		end, known := v.runs[h.Run]
		switch {
		case !h.whole:
			v.report(journal.Damage{Run: h.Run, Kind: "head", Detail: "its checksum is wrong"})
		case !known && !v.hurt[h.Run]:
			v.report(journal.Damage{Run: h.Run, Kind: "head", Detail: "of a run that has no records"})
		case h.State != journal.OpenState && h.LastSeq < v.upto && !v.hurt[h.Run] && (h.LastSeq != end.last || h.Events != end.n):
			v.report(journal.Damage{Run: h.Run, Kind: "head", Detail: fmt.Sprintf("names record %d as the last, which is %d", h.LastSeq, end.last)})
		}
	})
	if err != nil {
		return err
	}
	for run := range v.runs {
		if !seen[run] && !v.hurt[run] {
			if _, ok, err := v.j.Head(run); !ok { // it may have been purged meanwhile
				var damage *journal.DamageError
				if errors.As(err, &damage) {
					v.report(damage.Damage)
				}
			}
		}
	}
	return nil
}

// sums reads a table of which only the checksums are looked at.
func (v *verifier) sums(kind, sql string, row func(pgx.CollectableRow) (name string, whole bool, err error), count *uint64) error {
	type seen struct {
		name  string
		whole bool
	}
	return each(v, sql, func(r pgx.CollectableRow) (seen, error) {
		name, whole, err := row(r)
		return seen{name, whole}, err
	}, func(s seen) {
		if count != nil {
			*count++
		}
		if !s.whole {
			v.report(journal.Damage{Kind: kind, Detail: s.name + ": its checksum is wrong"})
		}
	})
}

func (v *verifier) ids() error {
	return v.sums("id", `SELECT id, run, until, sum FROM id WHERE shard = $1`, func(r pgx.CollectableRow) (string, bool, error) {
		var id string
		var run, until int64
		var sum int32
		err := r.Scan(&id, &run, &until, &sum)
		return fmt.Sprintf("%q", id), sum == idSum(v.j.o.Shard, id, uint64(run), until), err
	}, nil)
}

func (v *verifier) snapshots() error {
	return v.sums("snapshot", `SELECT run, seq, sum, state FROM snapshot WHERE shard = $1`, func(r pgx.CollectableRow) (string, bool, error) {
		s, err := v.j.scanSnapshot(r)
		return fmt.Sprintf("of run %d", s.Row.Run), s.OK, err
	}, &v.Snapshots)
}

func (v *verifier) objects() error {
	return v.sums("object", `SELECT `+objectCols+` FROM object WHERE shard = $1`, func(r pgx.CollectableRow) (string, bool, error) {
		o, err := v.j.scanObject(r)
		var damage *journal.DamageError
		if errors.As(err, &damage) {
			return fmt.Sprintf("%q", o.Key), false, nil
		}
		return o.Key, true, err
	}, &v.Objects)
}

func (v *verifier) definitions() error {
	list, err := v.j.Definitions()
	var damage *journal.DamageError
	var damages journal.Damages
	if errors.As(err, &damages) {
		for _, d := range damages {
			v.report(d)
		}
		err = nil
	}
	for _, d := range list {
		v.Definitions++
		if d.Digest == "" {
			continue // it was deleted, and only its number is taken
		}
		if _, err := v.j.DefinitionBody(d.Digest); errors.As(err, &damage) {
			v.report(damage.Damage)
		} else if errors.Is(err, journal.ErrNotFound) {
			v.report(journal.Damage{Kind: "definition", Detail: fmt.Sprintf("%s version %d: its body is missing", d.Name, d.Version)})
		} else if err != nil {
			return err
		}
	}
	return err
}

func (v *verifier) settings() error {
	return v.sums("row", `SELECT key, value, sum FROM setting WHERE shard = $1`, func(r pgx.CollectableRow) (string, bool, error) {
		var x journal.Row
		var sum int32
		err := r.Scan(&x.Key, &x.Value, &sum)
		return fmt.Sprintf("%q", x.Key), sum == settingSum(v.j.o.Shard, x.Key, x.Value), err
	}, &v.Rows)
}

// tags looks at the tags of runs, and whether those are there.
func (v *verifier) tags() error {
	if !v.j.tagged {
		return nil
	}
	return each(v, `SELECT t.tag, t.run, t.sum, h.run IS NOT NULL FROM tag t LEFT JOIN head h ON h.shard = t.shard AND h.run = t.run WHERE t.shard = $1`, func(r pgx.CollectableRow) (string, error) {
		var tag string
		var run int64
		var sum int32
		var there bool
		err := r.Scan(&tag, &run, &sum, &there)
		switch {
		case sum != tagSum(v.j.o.Shard, tag, uint64(run)):
			return fmt.Sprintf("%q of run %d: its checksum is wrong", tag, run), err
		case !there && uint64(run) < v.upto:
			return fmt.Sprintf("%q of run %d, which is not there", tag, run), err
		}
		return "", err
	}, func(wrong string) {
		if wrong != "" {
			v.report(journal.Damage{Kind: "tag", Detail: wrong})
		}
	})
}

// others looks at what only makes reads faster, explains gaps or is no fact.
func (v *verifier) others() error {
	shard := v.j.o.Shard
	numbers := func(n int, sum func([]int64) int32) func(pgx.CollectableRow) (string, bool, error) {
		return func(r pgx.CollectableRow) (string, bool, error) {
			values, into := make([]int64, n), make([]any, n+1)
			var is int32
			for i := range values {
				into[i] = &values[i]
			}
			into[n] = &is
			err := r.Scan(into...)
			return fmt.Sprint(values), is == sum(values), err
		}
	}
	return errors.Join(
		v.tags(),
		v.sums("waypoint", `SELECT run, n, seq, sum FROM waypoint WHERE shard = $1`, numbers(3, func(x []int64) int32 { return waypointSum(shard, uint64(x[0]), uint64(x[1]), uint64(x[2])) }), nil),
		v.sums("hole", `SELECT seq, len, sum FROM hole WHERE shard = $1`, numbers(2, func(x []int64) int32 { return holeSum(shard, uint64(x[0]), uint64(x[1])) }), nil),
		v.sums("expiry", `SELECT until, entry, sum FROM expiry WHERE shard = $1`, numbers(2, func(x []int64) int32 { return expirySum(shard, x[0], uint64(x[1])) }), nil),
		v.sums("said", `SELECT run, step, attempt, at, sum, text FROM said WHERE shard = $1`, func(r pgx.CollectableRow) (string, bool, error) {
			var s journal.Said
			var run, attempt, at int64
			var sum int32
			err := r.Scan(&run, &s.Step, &attempt, &at, &sum, &s.Text)
			s.Run, s.Attempt, s.At = uint64(run), uint32(attempt), uint64(at)
			return fmt.Sprintf("the log of run %d, step %s", run, s.Step), sum == saidSum(shard, &s), err
		}, nil))
}
