package pg

import (
	"context"
	"errors"
	"math"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/agnt5/agnt5d/journal"
)

// Recover reads what an engine needs to start: the snapshots of open runs, and the records after the last recovery point. Damage to
// them is reported, and passed over. See journal.Visitor for the order.
func (j *Journal) Recover(v journal.Visitor) error {
	j.mu.Lock()
	base, clean := j.base, j.clean
	j.mu.Unlock()
	v.Clean(clean)
	if err := j.recoverSnapshots(base, v); err != nil {
		return err
	}
	return j.recoverLog(base, v)
}

// recoverSnapshots gives the snapshots by run. An open run from before the recovery point that has none is damage: it would be
// forgotten.
func (j *Journal) recoverSnapshots(base uint64, v journal.Visitor) error {
	err := j.snapshotsAfter(0, func(s journal.Found[journal.Snapshot]) error {
		var damage *journal.DamageError
		if errors.As(s.Err, &damage) {
			return v.Damaged(damage.Damage)
		}
		return v.Snapshot(s.Row)
	})
	if err != nil {
		return err
	}
	missing, err := j.withoutSnapshot(base)
	for _, run := range missing {
		if err == nil {
			err = v.Damaged(journal.Damage{Run: uint64(run), Kind: "snapshot", Detail: "missing"})
		}
	}
	return err
}

func (j *Journal) snapshotsAfter(run int64, fn func(journal.Found[journal.Snapshot]) error) error {
	for {
		rows, err := j.reads.Query(context.Background(), `SELECT run, seq, sum, state FROM snapshot WHERE shard = $1 AND run > $2 ORDER BY run LIMIT $3`, int32(j.o.Shard), run, pageRecords)
		if err != nil {
			return err
		}
		page, err := pgx.CollectRows(rows, j.scanSnapshot)
		if err != nil {
			return err
		}
		for _, s := range page {
			run = int64(s.Row.Run)
			if err := fn(s); err != nil {
				return err
			}
		}
		if len(page) < pageRecords {
			return nil
		}
	}
}

// withoutSnapshot gives the open runs up to a recovery point that have none.
func (j *Journal) withoutSnapshot(base uint64) ([]int64, error) {
	rows, err := j.reads.Query(context.Background(), `SELECT run FROM head h WHERE shard = $1 AND state = 0 AND state <> 1 AND run <= $2
		AND NOT EXISTS (SELECT 1 FROM snapshot s WHERE s.shard = $1 AND s.run = h.run) ORDER BY run`, int32(j.o.Shard), int64(base))
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[int64])
}

// recoverLog gives the records after base. When it meets damage all there is of it is told first.
func (j *Journal) recoverLog(base uint64, v journal.Visitor) error {
	after, err := j.stream(base, v)
	if err != nil {
		return err
	}
	told := false
	return journal.ScanPast(j.Scan, after, func(r journal.Record) error {
		if r.Seq <= base {
			return nil // it reaches over base, which is no recovery point then
		}
		return v.Record(r)
	}, func(after uint64, _ journal.Damage) error {
		if told {
			return nil
		}
		told = true
		return journal.ScanPast(j.Scan, after, func(journal.Record) error { return nil }, func(_ uint64, d journal.Damage) error { return v.Damaged(d) })
	})
}

// stream gives the records after base as they come from the server, all with one question, and says how far it came: to the end, or to a
// record that is damaged or missing.
func (j *Journal) stream(base uint64, v journal.Visitor) (after uint64, err error) {
	if j.reads != j.pool { // the visitor may read meanwhile, and there is only one connection
		return base, nil
	}
	rows, err := j.reads.Query(context.Background(), scanSQL, int32(j.o.Shard), int64(base+1), int64(math.MaxInt64))
	if err != nil {
		return base, err
	}
	defer rows.Close()
	var seq, run, prev, n, at int64
	var count, sum int32
	var body pgtype.DriverBytes
	into := []any{&seq, &count, &run, &prev, &n, &at, &sum, &body}
	for after = base; rows.Next(); {
		if err := rows.Scan(into...); err != nil {
			return after, err
		}
		r := journal.Record{Seq: uint64(seq), Count: uint32(count), Run: uint64(run), Prev: uint64(prev), N: uint64(n), At: at, Body: body}
		switch {
		case sum != recordSum(j.o.Shard, &r), r.Seq > after+1 && j.gap(after+1, r.Seq) != nil:
			return after, nil
		case r.Seq <= base:
			after = max(after, r.End()-1) // it may reach over base, which is no recovery point then
			continue
		}
		if err := v.Record(r); err != nil {
			return after, err
		}
		after = r.End() - 1
	}
	return after, rows.Err()
}

// Stats is what this opening of the journal has done, and how large the tables are.
func (j *Journal) Stats() journal.Stats {
	j.mu.Lock()
	s := j.stats
	s.NextSeq = j.tail
	j.mu.Unlock()
	size := `SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint, coalesce(sum(c.reltuples) FILTER (WHERE c.relname = 'log'), 0)::bigint
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relkind = 'r'`
	var records int64
	if err := j.reads.QueryRow(context.Background(), size, j.o.Schema).Scan(&s.FileBytes, &records); err == nil {
		s.UsedBytes, s.Records = s.FileBytes, uint64(max(records, 0))
	}
	return s
}
