package pg

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/agnt5/agnt5d/journal"
)

// entry is a row of the log. What is not as it was written is good for its place alone.
type entry struct {
	journal.Record
	whole bool
}

func (j *Journal) scanEntry(r pgx.CollectableRow) (e entry, err error) {
	var seq, run, prev, n int64
	var count, sum int32
	err = r.Scan(&seq, &count, &run, &prev, &n, &e.At, &sum, &e.Body)
	e.Seq, e.Count, e.Run, e.Prev, e.N = uint64(seq), uint32(count), uint64(run), uint64(prev), uint64(n)
	e.whole = sum == recordSum(j.o.Shard, &e.Record)
	return e, err
}

func (j *Journal) entries(sql string, args ...any) ([]entry, error) {
	rows, err := j.reads.Query(context.Background(), sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, j.scanEntry)
}

// Get gives the record that holds an event.
func (j *Journal) Get(seq uint64) (r journal.Record, err error) {
	err = j.GetMany([]uint64{seq}, func(_ int, got journal.Record) error {
		r = got
		return nil
	})
	return r, err
}

// GetMany gives several of them.
func (j *Journal) GetMany(seqs []uint64, fn func(i int, r journal.Record) error) error {
	for from := 0; from < len(seqs); from += journal.MaxAsked {
		part := seqs[from:min(from+journal.MaxAsked, len(seqs))]
		at := make([]int64, len(part))
		for i, s := range part {
			at[i] = int64(min(s, math.MaxInt64))
		}
		found, err := j.entries(`SELECT l.seq, l.count, l.run, l.prev, l.n, l.at, l.sum, l.body FROM unnest($2::bigint[]) WITH ORDINALITY AS w(want, i)
			LEFT JOIN LATERAL (SELECT * FROM log WHERE shard = $1 AND seq <= w.want ORDER BY seq DESC LIMIT 1) l ON true WHERE l.seq IS NOT NULL ORDER BY w.i`, int32(j.o.Shard), at)
		if err != nil {
			return err
		}
		for i, seq := range part {
			if len(found) == 0 || found[0].Seq > seq {
				return j.absent(seq)
			}
			e := found[0]
			switch {
			case !e.whole && !j.behind(&e, seq):
				return j.damagedRecord(&e)
			case !e.whole || e.End() <= seq:
				return j.absent(seq)
			}
			found = found[1:]
			if err := fn(from+i, e.Record); err != nil {
				return err
			}
		}
	}
	return nil
}

// behind says whether a sequence lies behind a damaged record, as far as its neighbours tell.
func (j *Journal) behind(e *entry, seq uint64) bool { return seq >= e.Seq+uint64(j.span(e.Seq)) }

// span is how many sequences a damaged record takes: up to the next record, hole, or the end.
func (j *Journal) span(seq uint64) uint32 {
	end := j.NextSeq()
	var next int64
	err := j.reads.QueryRow(context.Background(), `SELECT least((SELECT min(seq) FROM log WHERE shard = $1 AND seq > $2), (SELECT min(seq) FROM hole WHERE shard = $1 AND seq > $2), $3)`,
		int32(j.o.Shard), int64(seq), int64(end)).Scan(&next)
	if err != nil || uint64(next) <= seq {
		return 1
	}
	return uint32(min(uint64(next)-seq, math.MaxUint32))
}

// damagedRecord names a record that is not as it was written. Whose it is, links and heads tell.
func (j *Journal) damagedRecord(e *entry) error {
	return &journal.DamageError{Damage: journal.Damage{Seq: e.Seq, Count: j.span(e.Seq), Run: j.ownerOf(e.Seq), Kind: "record", Detail: "its checksum is wrong"}}
}

// ownerOf gives the run of which a whole row says that a record of it is at seq; 0: none does.
func (j *Journal) ownerOf(seq uint64) uint64 {
	rows, err := j.entries(`SELECT `+recordCols+` FROM log WHERE shard = $1 AND seq > $2 AND prev = $2 ORDER BY seq LIMIT 4`, int32(j.o.Shard), int64(seq))
	for _, e := range rows {
		if err == nil && e.whole {
			return e.Run
		}
	}
	heads, err := j.headRows(`AND (last = $2 OR run = $2) LIMIT 4`, int64(seq))
	for _, h := range heads {
		if err == nil && h.whole {
			return h.Run
		}
	}
	return 0
}

// absent says why no record holds a sequence: none was written there, it was purged, or it is missing.
func (j *Journal) absent(seq uint64) error {
	if seq < j.o.Shard.First() || seq >= j.NextSeq() {
		return journal.ErrNotFound
	}
	holes, err := j.holes(seq, seq+1)
	if err != nil {
		return err
	}
	if len(holes) > 0 {
		return journal.ErrNotFound
	}
	return &journal.DamageError{Damage: journal.Damage{Seq: seq, Count: 1, Run: j.ownerOf(seq), Kind: "record", Detail: "missing"}}
}

// holes gives what was purged between two sequences, in order. A hole that is damaged explains nothing.
func (j *Journal) holes(from, end uint64) ([]interval, error) {
	rows, err := j.reads.Query(context.Background(), `SELECT seq, len, sum FROM hole WHERE shard = $1 AND seq < $3 AND seq >= coalesce(
		(SELECT seq FROM hole WHERE shard = $1 AND seq <= $2 ORDER BY seq DESC LIMIT 1), $2) ORDER BY seq`, int32(j.o.Shard), int64(from), int64(end))
	if err != nil {
		return nil, err
	}
	var out []interval
	var seq, size int64
	var sum int32
	_, err = pgx.ForEachRow(rows, []any{&seq, &size, &sum}, func() error {
		if h := (interval{uint64(seq), uint64(seq + size)}); h.end > from && sum == holeSum(j.o.Shard, h.begin, uint64(size)) {
			out = append(out, h)
		}
		return nil
	})
	return out, err
}

const pageRecords = 4096

const scanSQL = `SELECT ` + recordCols + ` FROM log WHERE shard = $1 AND seq >= coalesce(
  (SELECT seq FROM log WHERE shard = $1 AND seq <= $2 ORDER BY seq DESC LIMIT 1), $2) ORDER BY seq LIMIT $3`

// Scan gives records in the order of the log.
func (j *Journal) Scan(after uint64, limit int, fn func(journal.Record) error) error {
	want := max(after+1, j.o.Shard.First())
	for given := 0; limit == 0 || given < limit; {
		ends := j.NextSeq() // before the page is read: what comes meanwhile is no gap
		most := pageRecords
		if limit > 0 {
			most = min(most, limit-given+1)
		}
		page, err := j.entries(scanSQL, int32(j.o.Shard), int64(min(want, math.MaxInt64)), most)
		if err != nil {
			return err
		}
		last := len(page) < most
		for i := range page {
			e := &page[i]
			switch {
			case e.Seq < want && !e.whole && !j.behind(e, want):
				return j.damagedRecord(e)
			case e.Seq < want && (!e.whole || e.End() <= want):
				continue
			}
			if e.Seq > want {
				if err := j.gap(want, e.Seq); err != nil {
					return err
				}
			}
			if !e.whole {
				return j.damagedRecord(e)
			}
			if limit != 0 && given == limit {
				return nil
			}
			if err := fn(e.Record); err != nil {
				return err
			}
			given++
			want = e.End()
		}
		if last {
			if want < ends {
				return j.gap(want, ends)
			}
			return nil
		}
	}
	return nil
}

// gap passes over sequences without a record, which holes must explain.
func (j *Journal) gap(from, end uint64) error {
	holes, err := j.holes(from, end)
	if err != nil {
		return err
	}
	for _, h := range holes {
		if h.begin > from {
			end = h.begin
			break
		}
		from = max(from, h.end)
	}
	if from >= end {
		return nil
	}
	return &journal.DamageError{Damage: journal.Damage{Seq: from, Count: uint32(min(end-from, math.MaxUint32)), Run: j.ownerOf(from), Kind: "record", Detail: "missing"}}
}

// RunRecords walks the links in the database: one round trip for a page, from the first waypoint behind it.
func (j *Journal) RunRecords(run, last, fromN uint64, limit int) ([]journal.Record, error) {
	fromN = max(fromN, 1)
	for ahead := uint64(max(limit, 0)); ; ahead *= 4 { // a record holds any number of events
		from := last
		if limit > 0 {
			point, err := j.waypoint(run, fromN+ahead, last)
			if err != nil {
				return nil, err
			}
			from = point
		}
		list, err := j.walk(run, from, fromN, limit)
		if err != nil || from == last || len(list) == limit {
			return list, err
		}
	}
}

// waypoint gives a record of a run from which the position n can be reached backwards, not behind last.
func (j *Journal) waypoint(run, n, last uint64) (uint64, error) {
	var pos, seq int64
	var sum int32
	err := j.reads.QueryRow(context.Background(), `SELECT n, seq, sum FROM waypoint WHERE shard = $1 AND run = $2 AND n >= $3 ORDER BY n LIMIT 1`,
		int32(j.o.Shard), int64(run), int64(n)).Scan(&pos, &seq, &sum)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return last, nil
	case err != nil:
		return 0, err
	case uint64(seq) >= last || sum != waypointSum(j.o.Shard, run, uint64(pos), uint64(seq)):
		return last, nil // it only makes it faster
	}
	return uint64(seq), nil
}

func (j *Journal) walk(run, last, fromN uint64, limit int) ([]journal.Record, error) {
	found, err := j.entries(`WITH RECURSIVE b AS (
		SELECT `+recordCols+` FROM log WHERE shard = $1 AND seq = $2 AND n + count > $3
		UNION ALL SELECT l.seq, l.count, l.run, l.prev, l.n, l.at, l.sum, l.body FROM log l JOIN b ON l.shard = $1 AND l.seq = b.prev
		WHERE b.prev <> 0 AND b.prev < b.seq AND b.n > $3) SELECT `+recordCols+` FROM b ORDER BY seq DESC`, int32(j.o.Shard), int64(last), int64(fromN))
	if err != nil {
		return nil, err
	}
	if len(found) == 0 { // behind the end, or it is not there
		return nil, j.mustBe(last)
	}
	want, next := last, uint64(0)
	for i := range found {
		e := &found[i]
		switch {
		case e.Seq != want:
			return nil, &journal.DamageError{Damage: journal.Damage{Seq: want, Run: run, Kind: "record", Detail: "missing, though a link leads there"}}
		case !e.whole:
			return nil, &journal.DamageError{Damage: journal.Damage{Seq: e.Seq, Count: j.span(e.Seq), Run: run, Kind: "record", Detail: "its checksum is wrong"}}
		case e.Run != run || next != 0 && e.N+uint64(e.Count) != next:
			return nil, &journal.DamageError{Damage: journal.Damage{Seq: e.Seq, Run: run, Kind: "link", Detail: fmt.Sprintf("leads to position %d of run %d", e.N, e.Run)}}
		}
		want, next = e.Prev, e.N
	}
	if next > fromN && want != 0 {
		return nil, &journal.DamageError{Damage: journal.Damage{Seq: want, Run: run, Kind: "record", Detail: "missing, though a link leads there"}}
	}
	var out []journal.Record
	for i := len(found) - 1; i >= 0 && (limit <= 0 || len(out) < limit); i-- {
		out = append(out, found[i].Record)
	}
	return out, nil
}

// mustBe says what is wrong with a record that a walk begins at.
func (j *Journal) mustBe(seq uint64) error {
	found, err := j.entries(`SELECT `+recordCols+` FROM log WHERE shard = $1 AND seq = $2`, int32(j.o.Shard), int64(seq))
	switch {
	case err != nil:
		return err
	case len(found) == 0:
		return j.absent(seq)
	case !found[0].whole:
		return j.damagedRecord(&found[0])
	}
	return nil
}

// Definitions gives all versions of all workflows.
func (j *Journal) Definitions() ([]journal.Definition, error) {
	rows, err := j.reads.Query(context.Background(), `SELECT d.name, d.version, d.digest, d.at, d.sum, c.version, c.sum FROM definition d
		LEFT JOIN current c ON c.shard = d.shard AND c.name = d.name WHERE d.shard = $1 ORDER BY d.name, d.version`, int32(j.o.Shard))
	if err != nil {
		return nil, err
	}
	var bad journal.Damages
	lost := map[string]bool{}
	all, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (d journal.Definition, err error) {
		var version, sum int32
		var current, currentSumOf *int32
		if err = r.Scan(&d.Name, &version, &d.Digest, &d.At, &sum, &current, &currentSumOf); err != nil {
			return d, err
		}
		d.Version = uint32(version)
		switch {
		case sum != definitionSum(j.o.Shard, &d):
			bad = append(bad, journal.Damage{Kind: "definition", Detail: fmt.Sprintf("version %d of %q: its checksum is wrong", version, d.Name)})
			return journal.Definition{}, nil
		case current != nil && *currentSumOf != currentSum(j.o.Shard, d.Name, uint32(*current)):
			if current = nil; !lost[d.Name] {
				bad = append(bad, journal.Damage{Kind: "definition", Detail: fmt.Sprintf("which version of %q is current: its checksum is wrong", d.Name)})
				lost[d.Name] = true
			}
		}
		d.Current = current != nil && *current == version
		return d, nil
	})
	if err != nil || len(bad) == 0 {
		return all, err
	}
	return slices.DeleteFunc(all, func(d journal.Definition) bool { return d.Name == "" }), bad
}

func damaged(kind, detail string) error {
	return &journal.DamageError{Damage: journal.Damage{Kind: kind, Detail: detail}}
}

// DefinitionBody gives the canonical JSON of a digest.
func (j *Journal) DefinitionBody(digest string) (body []byte, err error) {
	err = j.reads.QueryRow(context.Background(), `SELECT body FROM body WHERE digest = $1`, digest).Scan(&body)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, fmt.Errorf("journal: definition %s: %w", digest, journal.ErrNotFound)
	}
	if want, ok := strings.CutPrefix(digest, "sha256:"); err == nil && ok && fmt.Sprintf("%x", sha256.Sum256(body)) != want {
		return nil, damaged("definition", digest+": the body has another digest")
	}
	return body, err
}

// Row gives a setting.
func (j *Journal) Row(key string) (value []byte, ok bool, err error) {
	var sum int32
	err = j.reads.QueryRow(context.Background(), `SELECT value, sum FROM setting WHERE shard = $1 AND key = $2`, int32(j.o.Shard), key).Scan(&value, &sum)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil, false, nil
	case err == nil && sum != settingSum(j.o.Shard, key, value):
		err = damaged("row", fmt.Sprintf("%q: its checksum is wrong", key))
	}
	return value, err == nil, err
}

// Rows gives the settings whose keys begin with a prefix, by key.
func (j *Journal) Rows(prefix string) ([]journal.Row, error) {
	return j.settings(`SELECT key, value, sum FROM setting WHERE shard = $1 AND starts_with(key, $2) ORDER BY key`, prefix)
}

// RowsAfter gives up to limit of them that come after a key.
func (j *Journal) RowsAfter(prefix, after string, limit int) ([]journal.Row, error) {
	return j.settings(`SELECT key, value, sum FROM setting WHERE shard = $1 AND starts_with(key, $2) AND key > $3 ORDER BY key LIMIT $4`, prefix, after, limit)
}

func (j *Journal) settings(sql string, args ...any) ([]journal.Row, error) {
	rows, err := j.reads.Query(context.Background(), sql, append([]any{int32(j.o.Shard)}, args...)...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (x journal.Row, err error) {
		var sum int32
		if err = r.Scan(&x.Key, &x.Value, &sum); err == nil && sum != settingSum(j.o.Shard, x.Key, x.Value) {
			x.Value, x.Damaged = nil, "its checksum is wrong"
		}
		return x, err
	})
}

// Said gives what attempts of a run wrote to their logs; see journal.Log. A step with a shorter name comes first, as in a file.
func (j *Journal) Said(run uint64, step string, after journal.SaidMark, limit int) ([]journal.Said, error) {
	rows, err := j.reads.Query(context.Background(), `SELECT step, attempt, at, sum, text FROM said WHERE shard = $1 AND run = $2 AND ($3 = '' OR step = $3)
		AND (octet_length(step), step, attempt) > (octet_length($4), $4, $5::bigint) ORDER BY octet_length(step), step, attempt, at`,
		int32(j.o.Shard), int64(run), step, after.Step, int64(after.Attempt))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []journal.Said
	for size := 0; rows.Next(); {
		s := journal.Said{Run: run}
		var attempt, at int64
		var sum int32
		if err := rows.Scan(&s.Step, &attempt, &at, &sum, &s.Text); err != nil {
			return nil, err
		}
		s.Attempt, s.At = uint32(attempt), uint64(at)
		if sum != saidSum(j.o.Shard, &s) {
			return nil, damaged("said", fmt.Sprintf("the log of run %d, step %s: its checksum is wrong", run, s.Step))
		}
		if n := len(out); limit > 0 && size > limit && (out[n-1].Step != s.Step || out[n-1].Attempt != s.Attempt) {
			return out, nil
		}
		out = append(out, s)
		size += len(s.Text)
	}
	return out, rows.Err()
}
