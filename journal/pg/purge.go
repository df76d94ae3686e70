package pg

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/agnt5/agnt5d/journal"
)

// gone is what is to be removed of some runs.
type gone struct {
	runs  []int64
	seqs  []int64    // of their records
	holes []interval // that they leave, with the holes that these touch
	old   []int64    // holes that become part of those
}

// interval is sequences from begin up to end, which is none of them.
type interval struct{ begin, end uint64 }

// purges reads what belongs to the runs, and queues its removal.
func (c *commit) purges(ctx context.Context, p *pgx.Batch, g *gone, list []journal.Purge) error {
	until := map[uint64]int64{}
	for _, x := range list {
		until[x.Run] = x.Until
	}
	heads, err := c.purgedHeads(ctx, list)
	if err != nil {
		return err
	}
	shard := c.j.o.Shard
	var ids, free []string
	var runs, untils, freed []int64
	var sums []int32
	for _, h := range heads {
		if err := c.spans(ctx, g, &h); err != nil {
			return err
		}
		g.runs = append(g.runs, int64(h.Run))
		if t := until[h.Run]; t != 0 {
			ids, runs, untils, sums = append(ids, h.ID), append(runs, int64(h.Run)), append(untils, t), append(sums, idSum(shard, h.ID, h.Run, t))
		} else {
			free, freed = append(free, h.ID), append(freed, int64(h.Run))
		}
	}
	if len(ids) > 0 { // unless a later run has the id
		p.Queue(`UPDATE id SET until = x.u, sum = x.s FROM unnest($2::text[], $3::bigint[], $4::bigint[], $5::int[]) AS x(i, r, u, s)
			WHERE id.shard = $1 AND id.id = x.i AND id.run = x.r`, int32(shard), ids, runs, untils, sums)
	}
	if len(free) > 0 {
		p.Queue(`DELETE FROM id USING unnest($2::text[], $3::bigint[]) AS x(i, r) WHERE id.shard = $1 AND id.id = x.i AND id.run = x.r`, int32(shard), free, freed)
	}
	for _, table := range []string{"head", "snapshot", "waypoint", "said", "tag"} {
		p.Queue(`DELETE FROM `+table+` WHERE shard = $1 AND run = ANY($2::bigint[])`, int32(shard), g.runs)
	}
	c.expire(p, list)
	return nil
}

// expire notes when the records that tell of the purges are over.
func (c *commit) expire(p *pgx.Batch, list []journal.Purge) {
	entries := map[uint64]int64{}
	for _, x := range list {
		if x.Entry != 0 {
			entries[x.Entry] = max(entries[x.Entry], x.Until)
		}
	}
	for entry, until := range entries {
		p.Queue(`INSERT INTO expiry VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`, int32(c.j.o.Shard), until, int64(entry), expirySum(c.j.o.Shard, until, entry))
	}
}

// sweep removes what purges have left behind and what is over now.
func (c *commit) sweep(ctx context.Context, p *pgx.Batch, g *gone, now int64) error {
	const most = journal.MaxSwept / 2 // of each kind
	shard := int32(c.j.o.Shard)
	p.Queue(`DELETE FROM id WHERE shard = $1 AND id IN (SELECT id FROM id WHERE shard = $1 AND until <> 0 AND until < $2 ORDER BY until LIMIT $3)`, shard, now, most)
	rows, err := c.j.w.conn.Query(ctx, `SELECT e.until, e.entry, l.count FROM expiry e LEFT JOIN log l ON l.shard = e.shard AND l.seq = e.entry AND l.run = 0
		WHERE e.shard = $1 AND e.until < $2 ORDER BY e.until, e.entry LIMIT $3`, shard, now, most)
	if err != nil {
		return err
	}
	var until, entry int64
	var count *int32
	_, err = pgx.ForEachRow(rows, []any{&until, &entry, &count}, func() error {
		p.Queue(`DELETE FROM expiry WHERE shard = $1 AND until = $2 AND entry = $3`, shard, until, entry)
		if count != nil {
			g.seqs = append(g.seqs, entry)
			g.holes = append(g.holes, interval{uint64(entry), uint64(entry) + uint64(*count)})
		}
		return nil
	})
	return err
}

// drop removes records, and notes the holes that they leave.
func (c *commit) drop(ctx context.Context, p *pgx.Batch, g *gone) error {
	if len(g.seqs) == 0 {
		return nil
	}
	if err := c.merge(ctx, g); err != nil {
		return err
	}
	shard := int32(c.j.o.Shard)
	p.Queue(`DELETE FROM log WHERE shard = $1 AND seq = ANY($2::bigint[])`, shard, g.seqs)
	if len(g.old) > 0 {
		p.Queue(`DELETE FROM hole WHERE shard = $1 AND seq = ANY($2::bigint[])`, shard, g.old)
	}
	var from, size []int64
	var sum []int32
	for _, h := range g.holes {
		from, size, sum = append(from, int64(h.begin)), append(size, int64(h.end-h.begin)), append(sum, holeSum(c.j.o.Shard, h.begin, h.end-h.begin))
	}
	p.Queue(holeSQL, shard, from, size, sum)
	return nil
}

// removals queues what a batch removes. Nobody but this writer changes any of what is read for it.
func (c *commit) removals(ctx context.Context, p *pgx.Batch, b *journal.Batch) error {
	var g gone
	if len(b.Purges) > 0 {
		if err := c.purges(ctx, p, &g, b.Purges); err != nil {
			return err
		}
	}
	if b.Sweep > 0 {
		if err := c.sweep(ctx, p, &g, b.Sweep); err != nil {
			return err
		}
	}
	return c.drop(ctx, p, &g)
}

// purgedHeads gives the heads of runs, damaged ones too: as far as they can be read they say what is to be removed.
func (c *commit) purgedHeads(ctx context.Context, list []journal.Purge) ([]journal.Head, error) {
	var runs []int64
	for _, x := range list {
		runs = append(runs, int64(x.Run))
	}
	rows, err := c.j.w.conn.Query(ctx, `SELECT `+c.j.headCols()+` FROM head WHERE shard = $1 AND run = ANY($2::bigint[]) ORDER BY run`, int32(c.j.o.Shard), runs)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (journal.Head, error) {
		h, _, err := scanHead(r)
		return h, err
	})
}

// spans finds the records of a run over their links. Where these are damaged, the log is read for them.
func (c *commit) spans(ctx context.Context, g *gone, h *journal.Head) error {
	type record struct{ Seq, Prev, Count int64 }
	read := func(sql string, args ...any) ([]record, error) {
		rows, err := c.j.w.conn.Query(ctx, sql, args...)
		if err != nil {
			return nil, err
		}
		return pgx.CollectRows(rows, pgx.RowToStructByPos[record])
	}
	shard := int32(c.j.o.Shard)
	found, err := read(`WITH RECURSIVE b AS (SELECT seq, prev, count, run FROM log WHERE shard = $1 AND seq = $3 AND run = $2
		UNION ALL SELECT l.seq, l.prev, l.count, l.run FROM log l JOIN b ON l.shard = $1 AND l.seq = b.prev AND l.run = $2 AND b.prev < b.seq) SELECT seq, prev, count FROM b`,
		shard, int64(h.Run), int64(h.LastSeq))
	if err != nil {
		return err
	}
	if len(found) == 0 || found[len(found)-1].Seq != int64(h.Run) {
		if found, err = read(`SELECT seq, prev, count FROM log WHERE shard = $1 AND seq >= $2 AND seq < $3 AND run = $2`, shard, int64(h.Run), int64(c.begin)); err != nil {
			return err
		}
	}
	for _, r := range found {
		g.seqs = append(g.seqs, r.Seq)
		g.holes = append(g.holes, interval{uint64(r.Seq), uint64(r.Seq + r.Count)})
	}
	return nil
}

// merge makes one hole of those that touch, with those that are there already.
func (c *commit) merge(ctx context.Context, g *gone) error {
	join := func(list []interval) []interval {
		slices.SortFunc(list, func(a, b interval) int { return int(int64(a.begin) - int64(b.begin)) })
		var out []interval
		for _, x := range list {
			if n := len(out); n > 0 && x.begin <= out[n-1].end {
				out[n-1].end = max(out[n-1].end, x.end)
				continue
			}
			out = append(out, x)
		}
		return out
	}
	g.holes = join(g.holes)
	var begins, ends []int64
	for _, h := range g.holes {
		begins, ends = append(begins, int64(h.begin)), append(ends, int64(h.end))
	}
	rows, err := c.j.w.conn.Query(ctx, `SELECT h.seq, h.len, h.sum FROM unnest($2::bigint[]) AS x(b) CROSS JOIN LATERAL (
			SELECT seq, len, sum FROM hole WHERE shard = $1 AND seq < x.b ORDER BY seq DESC LIMIT 1) h WHERE h.seq + h.len = x.b
		UNION SELECT seq, len, sum FROM hole WHERE shard = $1 AND seq = ANY($3::bigint[])`, int32(c.j.o.Shard), begins, ends)
	if err != nil {
		return err
	}
	var seq, size int64
	var sum int32
	_, err = pgx.ForEachRow(rows, []any{&seq, &size, &sum}, func() error {
		if sum == holeSum(c.j.o.Shard, uint64(seq), uint64(size)) { // a damaged one is left as it is
			g.old = append(g.old, seq)
			g.holes = append(g.holes, interval{uint64(seq), uint64(seq + size)})
		}
		return nil
	})
	g.holes = join(g.holes)
	return err
}
