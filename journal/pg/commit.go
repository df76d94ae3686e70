package pg

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/agnt5/agnt5d/internal/queue"
	"github.com/agnt5/agnt5d/journal"
)

// commit is a group on its way: what is sent as one pipeline with one Sync, which is one implicit transaction.
type commit struct {
	j          *Journal
	batches    []*journal.Batch
	begin, end uint64 // of the log
	records    int
	bytes      int
	base       uint64
	clean      bool
}

// newCommit takes the batches of a group that are not refused; nil: there are none.
func newCommit(j *Journal, group []queue.Item) *commit {
	c := &commit{j: j, begin: j.tail, end: j.tail}
	for _, q := range group {
		if q.Err != nil {
			continue
		}
		b := q.Batch
		c.batches = append(c.batches, b)
		if n := len(b.Records); n > 0 {
			c.end = b.Records[n-1].End()
			c.records += n
		}
		c.bytes += q.Bytes
		if b.Base != 0 {
			c.base = b.Base
		}
		c.clean = b.Clean
	}
	if len(c.batches) == 0 {
		return nil
	}
	return c
}

// count notes a commit that is durable.
func (c *commit) count(took time.Duration) {
	j := c.j
	j.mu.Lock()
	defer j.mu.Unlock()
	j.tail, j.clean, j.w.cleanRow = c.end, c.clean, c.clean
	if c.base != 0 {
		j.base = c.base
	}
	j.stats.Commits++
	j.stats.Batches += uint64(len(c.batches))
	j.stats.Appended += uint64(c.records)
	j.stats.PutBytes += uint64(c.bytes)
	j.stats.CommitTook.Observe(took)
	j.stats.CommitRecords.Observe(c.records)
}

var errUnsure = errors.New("the server gave up waiting for a synchronous standby")

// send commits. Its error says nothing of what was recorded, unless it is the server's.
func (c *commit) send() error {
	w := &c.j.w
	if w.conn == nil || w.conn.IsClosed() {
		return errors.New("no connection")
	}
	ctx := context.Background()
	var p pgx.Batch
	shard := int32(c.j.o.Shard)
	p.Queue(c.j.o.fence, shard, w.epoch, int64(c.begin))
	if c.base != 0 || c.clean != w.cleanRow {
		p.Queue(`UPDATE shard SET base = CASE WHEN $2::bigint > 0 THEN $2 ELSE base END, clean = $3 WHERE shard = $1`, shard, int64(c.base), c.clean)
	}
	c.log(&p)
	c.heads(&p)
	c.rows(&p)
	c.definitions(&p)
	c.said(&p)
	if err := c.removals(ctx, &p, c.batches[len(c.batches)-1]); err != nil {
		return err
	}
	if err := w.conn.SendBatch(ctx, &p).Close(); err != nil {
		return err
	}
	if w.unsure {
		_ = w.conn.Close(ctx)
		return errUnsure
	}
	return nil
}

// waypointEvery is how many events of a run lie between two waypoints: places from which its history can be read without walking
// over all that came later.
const waypointEvery = 1024

func (c *commit) log(p *pgx.Batch) {
	k := c.records
	if k == 0 {
		return
	}
	seq, run, prev, n, at := make([]int64, 0, k), make([]int64, 0, k), make([]int64, 0, k), make([]int64, 0, k), make([]int64, 0, k)
	count, sum, body := make([]int32, 0, k), make([]int32, 0, k), make([][]byte, 0, k)
	var wayRun, wayN, waySeq []int64
	var waySum []int32
	for _, b := range c.batches {
		for i := range b.Records {
			r := &b.Records[i]
			seq, run, prev = append(seq, int64(r.Seq)), append(run, int64(r.Run)), append(prev, int64(r.Prev))
			n, at, count = append(n, int64(r.N)), append(at, r.At), append(count, int32(r.Count))
			sum, body = append(sum, recordSum(c.j.o.Shard, r)), append(body, full(r.Body))
			if r.Run != 0 && (r.N-1)/waypointEvery != r.Last()/waypointEvery {
				wayRun, wayN, waySeq = append(wayRun, int64(r.Run)), append(wayN, int64(r.N)), append(waySeq, int64(r.Seq))
				waySum = append(waySum, waypointSum(c.j.o.Shard, r.Run, r.N, r.Seq))
			}
		}
	}
	shard := int32(c.j.o.Shard)
	p.Queue(logSQL, shard, seq, count, run, prev, n, at, sum, body)
	if len(wayRun) > 0 {
		p.Queue(waypointSQL, shard, wayRun, wayN, waySeq, waySum)
	}
}

// full is a value that is no NULL.
func full(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// heads writes the last head of each run. A run that begins in this commit brings its id.
func (c *commit) heads(p *pgx.Batch) {
	at := map[uint64]int{}
	var hs []*journal.Head
	for _, b := range c.batches {
		for i := range b.Heads {
			h := &b.Heads[i]
			if k, ok := at[h.Run]; ok {
				hs[k] = h
				continue
			}
			at[h.Run] = len(hs)
			hs = append(hs, h)
		}
	}
	k := len(hs)
	if k == 0 {
		return
	}
	shard := c.j.o.Shard
	run, last, events, created, ended := make([]int64, k), make([]int64, k), make([]int64, k), make([]int64, k), make([]int64, k)
	id, flow, failed, digest := make([]string, k), make([]string, k), make([][]byte, k), make([][]byte, k)
	version, skipped, state, sum := make([]int32, k), make([]int32, k), make([]int16, k), make([]int32, k)
	ids := map[string]int{} // of new runs; an id may be given again in one commit, after a purge
	var newID []string
	var newRun []int64
	var newSum []int32
	for i, h := range hs {
		run[i], last[i], events[i], created[i], ended[i] = int64(h.Run), int64(h.LastSeq), int64(h.Events), h.CreatedAt, h.EndedAt
		id[i], flow[i], failed[i], digest[i] = h.ID, h.Workflow, []byte(h.Failed), full(h.Digest)
		version[i], skipped[i], state[i], sum[i] = int32(h.Version), int32(h.Skipped), int16(h.State), headSum(shard, h)
		if h.Run < c.begin {
			continue
		}
		own := idSum(shard, h.ID, h.Run, 0)
		if n, ok := ids[h.ID]; ok {
			newRun[n], newSum[n] = int64(h.Run), own
			continue
		}
		ids[h.ID] = len(newID)
		newID, newRun, newSum = append(newID, h.ID), append(newRun, int64(h.Run)), append(newSum, own)
	}
	c.tags(p, hs)
	p.Queue(headSQL, int32(shard), run, id, flow, version, state, last, events, created, ended, skipped, digest, failed, sum)
	if len(newID) > 0 {
		p.Queue(idSQL, int32(shard), newID, newRun, newSum)
	}
}

// tags writes the tags of some heads. Where no run has had one, nothing is removed.
func (c *commit) tags(p *pgx.Batch, heads []*journal.Head) {
	shard, w := c.j.o.Shard, &c.j.w
	var before, runs []int64
	var tags []string
	var sums []int32
	for _, h := range heads {
		if h.Run < c.begin {
			before = append(before, int64(h.Run))
		}
		for _, tag := range h.Tags {
			runs, tags, sums = append(runs, int64(h.Run)), append(tags, tag), append(sums, tagSum(shard, tag, h.Run))
		}
	}
	if w.tags && len(before) > 0 {
		p.Queue(untagSQL, int32(shard), before, runs, tags)
	}
	if len(runs) > 0 {
		w.tags = true
		p.Queue(tagSQL, int32(shard), runs, tags, sums)
	}
}

// last keeps the last value of each key, in the order of the keys' first appearance.
type last[K comparable, V any] struct {
	at   map[K]int
	list []V
}

func (l *last[K, V]) put(k K, v V) {
	if i, ok := l.at[k]; ok {
		l.list[i] = v
		return
	}
	if l.at == nil {
		l.at = map[K]int{}
	}
	l.at[k] = len(l.list)
	l.list = append(l.list, v)
}

// rows writes snapshots, objects and settings.
func (c *commit) rows(p *pgx.Batch) {
	var snaps last[uint64, *journal.Snapshot]
	var objects last[string, *journal.Object]
	var settings last[string, *journal.Row]
	for _, b := range c.batches {
		for i := range b.Snapshots {
			snaps.put(b.Snapshots[i].Run, &b.Snapshots[i])
		}
		for i := range b.Objects {
			objects.put(b.Objects[i].Key, &b.Objects[i])
		}
		for i := range b.Rows {
			settings.put(b.Rows[i].Key, &b.Rows[i])
		}
	}
	c.snapshots(p, snaps.list)
	c.objects(p, objects.list)
	c.settings(p, settings.list)
}

func (c *commit) snapshots(p *pgx.Batch, list []*journal.Snapshot) {
	var run, seq, gone []int64
	var sum []int32
	var state [][]byte
	for _, s := range list {
		if s.State == nil {
			gone = append(gone, int64(s.Run))
			continue
		}
		run, seq, sum, state = append(run, int64(s.Run)), append(seq, int64(s.Seq)), append(sum, snapshotSum(c.j.o.Shard, s)), append(state, s.State)
	}
	if len(gone) > 0 {
		p.Queue(`DELETE FROM snapshot WHERE shard = $1 AND run = ANY($2::bigint[])`, int32(c.j.o.Shard), gone)
	}
	if len(run) > 0 {
		p.Queue(snapshotSQL, int32(c.j.o.Shard), run, seq, sum, state)
	}
}

func (c *commit) objects(p *pgx.Batch, list []*journal.Object) {
	var key, gone []string
	var version, fence, seq []int64
	var sum []int32
	var state [][]byte
	for _, o := range list {
		if o.State == nil {
			gone = append(gone, o.Key)
			continue
		}
		key, version, fence, seq = append(key, o.Key), append(version, int64(o.Version)), append(fence, int64(o.Fence)), append(seq, int64(o.Seq))
		sum, state = append(sum, objectSum(c.j.o.Shard, o)), append(state, o.State)
	}
	if len(gone) > 0 {
		p.Queue(`DELETE FROM object WHERE shard = $1 AND key = ANY($2::text[])`, int32(c.j.o.Shard), gone)
	}
	if len(key) > 0 {
		p.Queue(objectSQL, int32(c.j.o.Shard), key, version, fence, seq, sum, state)
	}
}

func (c *commit) settings(p *pgx.Batch, list []*journal.Row) {
	var key, gone []string
	var sum []int32
	var value [][]byte
	for _, r := range list {
		if r.Value == nil {
			gone = append(gone, r.Key)
			continue
		}
		key, sum, value = append(key, r.Key), append(sum, settingSum(c.j.o.Shard, r.Key, r.Value)), append(value, r.Value)
	}
	if len(gone) > 0 {
		p.Queue(`DELETE FROM setting WHERE shard = $1 AND key = ANY($2::text[])`, int32(c.j.o.Shard), gone)
	}
	if len(key) > 0 {
		p.Queue(settingSQL, int32(c.j.o.Shard), key, sum, value)
	}
}

func (c *commit) definitions(p *pgx.Batch) {
	shard := int32(c.j.o.Shard)
	for _, b := range c.batches {
		for i := range b.Definitions {
			d := &b.Definitions[i]
			p.Queue(`INSERT INTO definition VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (shard, name, version) DO UPDATE SET digest = excluded.digest, at = excluded.at, sum = excluded.sum`,
				shard, d.Name, int32(d.Version), d.Digest, d.At, definitionSum(c.j.o.Shard, d))
			if d.Digest == "" { // deleted; its body may be another shard's, too, and stays
				p.Queue(`DELETE FROM current WHERE shard = $1 AND name = $2 AND version = $3`, shard, d.Name, int32(d.Version))
			}
			if d.Current {
				p.Queue(`INSERT INTO current VALUES ($1, $2, $3, $4) ON CONFLICT (shard, name) DO UPDATE SET version = excluded.version, sum = excluded.sum`,
					shard, d.Name, int32(d.Version), currentSum(c.j.o.Shard, d.Name, d.Version))
			}
			if len(d.Body) > 0 {
				p.Queue(`INSERT INTO body VALUES ($1, $2) ON CONFLICT DO NOTHING`, d.Digest, d.Body)
			}
		}
	}
}

// said writes what attempts wrote to their logs, and of each the last bytes alone stay.
func (c *commit) said(p *pgx.Batch) {
	type attempt struct {
		run     uint64
		step    string
		attempt uint32
	}
	type place struct {
		attempt
		at uint64
	}
	var pieces last[place, *journal.Said]
	var attempts last[attempt, attempt]
	for _, b := range c.batches {
		for i := range b.Said {
			s := &b.Said[i]
			a := attempt{s.Run, s.Step, s.Attempt}
			pieces.put(place{a, s.At}, s)
			attempts.put(a, a)
		}
	}
	if len(pieces.list) == 0 {
		return
	}
	var run, tries, at []int64
	var step []string
	var sum []int32
	var text [][]byte
	for _, s := range pieces.list {
		run, step, tries, at = append(run, int64(s.Run)), append(step, s.Step), append(tries, int64(s.Attempt)), append(at, int64(s.At))
		sum, text = append(sum, saidSum(c.j.o.Shard, s)), append(text, full(s.Text))
	}
	p.Queue(saidSQL, int32(c.j.o.Shard), run, step, tries, at, sum, text)
	for _, a := range attempts.list {
		p.Queue(unsaidSQL, int32(c.j.o.Shard), int64(a.run), a.step, int64(a.attempt), journal.MaxSaid)
	}
}
