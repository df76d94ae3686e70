package pg

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/agnt5/agnt5d/journal"
)

var _ journal.Source = (*Journal)(nil)

// EachLeft gives what purges have left behind: first the ids, then the records that tell of purges.
func (j *Journal) EachLeft(fn func(journal.Left) error) error {
	for id := ""; ; {
		var list []journal.Left
		rows, err := j.reads.Query(context.Background(), `SELECT id, run, until, sum FROM id WHERE shard = $1 AND until <> 0 AND id > $2 ORDER BY id LIMIT $3`, int32(j.o.Shard), id, pageRecords)
		if err != nil {
			return err
		}
		var run, until int64
		var sum int32
		_, err = pgx.ForEachRow(rows, []any{&id, &run, &until, &sum}, func() error {
			if sum != idSum(j.o.Shard, id, uint64(run), until) {
				return damaged("id", fmt.Sprintf("%q: its checksum is wrong", id))
			}
			list = append(list, journal.Left{ID: id, Run: uint64(run), Until: until})
			return nil
		})
		if err == nil {
			err = give(list, fn)
		}
		if err != nil {
			return err
		}
		if len(list) < pageRecords {
			break
		}
	}
	for until, entry := int64(0), int64(0); ; {
		var list []journal.Left
		rows, err := j.reads.Query(context.Background(), `SELECT until, entry, sum FROM expiry WHERE shard = $1 AND (until, entry) > ($2::bigint, $3::bigint) ORDER BY until, entry LIMIT $4`,
			int32(j.o.Shard), until, entry, pageRecords)
		if err != nil {
			return err
		}
		var sum int32
		_, err = pgx.ForEachRow(rows, []any{&until, &entry, &sum}, func() error {
			if sum != expirySum(j.o.Shard, until, uint64(entry)) {
				return damaged("expiry", fmt.Sprintf("of record %d: its checksum is wrong", entry))
			}
			list = append(list, journal.Left{Entry: uint64(entry), Until: until})
			return nil
		})
		if err == nil {
			err = give(list, fn)
		}
		if err != nil || len(list) < pageRecords {
			return err
		}
	}
}

func give[T any](list []T, fn func(T) error) error {
	for _, x := range list {
		if err := fn(x); err != nil {
			return err
		}
	}
	return nil
}

// EachSaid gives all that attempts wrote to their logs.
func (j *Journal) EachSaid(fn func(journal.Said) error) error {
	const most = 64 // a piece has up to MaxSaid bytes
	var run, attempt, at int64 = 0, 0, -1
	for step := ""; ; {
		var list []journal.Said
		rows, err := j.reads.Query(context.Background(), `SELECT run, step, attempt, at, sum, text FROM said WHERE shard = $1
			AND (run, step, attempt, at) > ($2::bigint, $3::text, $4::bigint, $5::bigint) ORDER BY run, step, attempt, at LIMIT $6`, int32(j.o.Shard), run, step, attempt, at, most)
		if err != nil {
			return err
		}
		var sum int32
		var text []byte
		_, err = pgx.ForEachRow(rows, []any{&run, &step, &attempt, &at, &sum, &text}, func() error {
			s := journal.Said{Run: uint64(run), Step: step, Attempt: uint32(attempt), At: uint64(at), Text: append([]byte{}, text...)}
			if sum != saidSum(j.o.Shard, &s) {
				return damaged("said", fmt.Sprintf("the log of run %d, step %s: its checksum is wrong", run, step))
			}
			list = append(list, s)
			return nil
		})
		if err == nil {
			err = give(list, fn)
		}
		if err != nil || len(list) < most {
			return err
		}
	}
}

// ErrExists: the schema has a journal already.
var ErrExists = errors.New("there is a journal already")

// Import makes the journal of a shard of the parts that fill gives (journal.Carry), in one transaction: it has a secret of its own, and is
// there when it is whole and was checked, or not at all. Where there is a journal of that shard, it is left as it is: ErrExists.
func Import(ctx context.Context, o Options, fill func(put func(*journal.Part) error) error, checking func(done float64)) error {
	j, err := prepare(ctx, o)
	if err != nil {
		return err
	}
	defer j.disconnect()
	if err := j.w.connect(ctx); err != nil {
		return err
	}
	if err := j.checkEncoding(ctx); err != nil {
		return err
	}
	tx, err := j.w.conn.Begin(ctx)
	if err != nil {
		return err
	}
	defer func() {
		rolling, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		_ = tx.Rollback(rolling) // nothing, after the commit
		cancel()
	}()
	j.reads = tx
	if err := j.importTo(ctx, tx, fill, checking); err != nil {
		return err
	}
	if err := tx.Commit(ctx); err != nil {
		return fmt.Errorf("it is not known whether the last step, the commit, was done: %w", err)
	}
	if j.w.unsure {
		return fmt.Errorf("the journal is there, but %w: a standby that is promoted now may lack it", errUnsure)
	}
	return nil
}

func (j *Journal) importTo(ctx context.Context, tx pgx.Tx, fill func(put func(*journal.Part) error) error, checking func(done float64)) error {
	if err := createTables(ctx, tx, j.o.Schema); err != nil {
		return err
	}
	j.tagged = true
	var format int
	if err := tx.QueryRow(ctx, `SELECT format FROM meta WHERE one = 1`).Scan(&format); err != nil {
		return err
	}
	tag, err := tx.Exec(ctx, `INSERT INTO shard (shard, epoch, owner, instance, backend, base, clean) VALUES ($1, 0, '', '', 0, 0, true) ON CONFLICT DO NOTHING`, int32(j.o.Shard))
	if err != nil {
		return err
	}
	if tag.RowsAffected() == 0 || format != journal.FormatVersion {
		return fmt.Errorf("%w in the schema %s", ErrExists, j.o.Schema)
	}
	j.tail, j.base = j.o.Shard.First(), j.o.Shard.First()-1
	var t journal.Tally
	err = fill(func(p *journal.Part) error {
		t.Add(p)
		return j.part(ctx, tx, p)
	})
	if err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `ANALYZE log, head, id, said, snapshot, hole, tag`); err != nil { // or the checks read whole tables for a row
		return err
	}
	return t.Check(ctx, j, checking)
}

// part puts a part of a journal.
func (j *Journal) part(ctx context.Context, tx pgx.Tx, part *journal.Part) error {
	var p pgx.Batch
	shard := int32(j.o.Shard)
	c := commit{j: j, batches: []*journal.Batch{&part.Batch}, records: len(part.Records)}
	c.log(&p)
	c.heads(&p)
	c.rows(&p)
	c.definitions(&p)
	c.said(&p)
	var from, size, lefts, entries []int64
	var sums, leftSums []int32
	hole := func(upTo uint64) {
		if upTo > j.tail {
			from, size, sums = append(from, int64(j.tail)), append(size, int64(upTo-j.tail)), append(sums, holeSum(j.o.Shard, j.tail, upTo-j.tail))
		}
	}
	for i := range part.Records {
		hole(part.Records[i].Seq)
		j.tail = part.Records[i].End()
	}
	hole(part.Next)
	j.tail = max(j.tail, part.Next)
	if len(from) > 0 {
		p.Queue(holeSQL, shard, from, size, sums)
	}
	var ids []string
	var runs, untils []int64
	var idSums []int32
	for _, l := range part.Left {
		if l.ID == "" {
			lefts, entries, leftSums = append(lefts, l.Until), append(entries, int64(l.Entry)), append(leftSums, expirySum(j.o.Shard, l.Until, l.Entry))
			continue
		}
		ids, runs, untils, idSums = append(ids, l.ID), append(runs, int64(l.Run)), append(untils, l.Until), append(idSums, idSum(j.o.Shard, l.ID, l.Run, l.Until))
	}
	if len(ids) > 0 {
		p.Queue(`INSERT INTO id (shard, id, run, until, sum) SELECT $1, * FROM unnest($2::text[], $3::bigint[], $4::bigint[], $5::int[])`, shard, ids, runs, untils, idSums)
	}
	if len(lefts) > 0 {
		p.Queue(`INSERT INTO expiry (shard, until, entry, sum) SELECT $1, * FROM unnest($2::bigint[], $3::bigint[], $4::int[])`, shard, lefts, entries, leftSums)
	}
	if part.Last {
		j.base, j.clean = max(part.Base, j.base), part.Clean
		p.Queue(`UPDATE shard SET base = $2, clean = $3 WHERE shard = $1`, shard, int64(part.Base), part.Clean)
	}
	if p.Len() == 0 {
		return nil
	}
	return tx.SendBatch(ctx, &p).Close()
}
