package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/agnt5/agnt5d/internal/archive"
	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/journal/bolt"
	"github.com/agnt5/agnt5d/replay"
)

// audit is what a look at a whole journal found.
type audit struct {
	journal.Verified
	newer []newerRun
}

// newerRun is a run that a newer release wrote on.
type newerRun struct {
	Run    string `json:"run"`
	Seq    uint64 `json:"seq"` // the first record that is not understood
	Detail string `json:"detail"`
}

func (n *newerRun) String() string {
	return fmt.Sprintf("run %s: record %d was written by a newer release of agnt5d (%s); it is not damaged, and waits for that release", n.Run, n.Seq, n.Detail)
}

// verify looks at all of the journal as a start would: at every checksum and link, and at whether each run folds. A run of which
// something is damaged is not reported again for what follows from that.
func (f *file) verify(ctx context.Context, report func(journal.Damage)) (audit, error) {
	out := audit{newer: []newerRun{}}
	var err error
	hurt := map[uint64]bool{}
	out.Verified, err = f.verifyKept(ctx, func(d journal.Damage) {
		hurt[d.Run] = true
		report(d)
	})
	if err != nil {
		return out, err
	}
	_, missing, err := f.Versions()
	if err != nil {
		return out, err
	}
	if out.Damages == 0 {
		for _, d := range missing {
			out.Damages++
			report(d)
		}
	}
	w, n := f.Walk(), 0
	for r, err := range f.Records(0) {
		if _, gap := archive.Gap(err); gap {
			continue
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return out, err
		}
		if n++; n%4096 == 0 && f.progress != nil {
			first := journal.ShardOf(r.Seq).First()
			f.part(.6, .4)(float64(r.Seq-first) / float64(max(f.NextSeq()-first, 1)))
		}
		if r.Run == 0 || hurt[r.Run] {
			continue
		}
		known := w.Newer[r.Run]
		err = w.Record(r, 0)
		if n := w.Newer[r.Run]; n != nil && known == nil {
			out.newer = append(out.newer, newerRun{f.Name(r.Run), n.Seq, n.Why})
		}
		if s := w.States[r.Run]; s != nil && s.Status == replay.Completed && len(s.Outs) == 0 {
			if h, err := f.Archive.Head(r.Run); err == nil && h.LastSeq == r.Seq { // nothing more comes
				delete(w.States, r.Run)
			}
		}
		var broken *archive.BrokenError
		if errors.As(err, &broken) {
			hurt[r.Run] = true
			if hurt[0] { // whose a damaged record is may not be known
				continue
			}
			out.Damages++
			report(journal.Damage{Seq: broken.Seq, Run: broken.Run, Kind: "history", Detail: broken.Why.Error()})
			continue
		}
		if err != nil {
			return out, err
		}
	}
	return out, nil
}

// part tells the progress of a part of a check that makes up a share of all, behind what was done before.
func (f *file) part(before, share float64) func(float64) {
	if f.progress == nil {
		return nil
	}
	return func(done float64) { f.progress(before + share*done) }
}

// verifyKept looks at every checksum and link, and tells how far it is if the journal can tell.
func (f *file) verifyKept(ctx context.Context, report func(journal.Damage)) (journal.Verified, error) {
	if tells, ok := f.kept.(*bolt.Journal); ok {
		return tells.VerifyWith(ctx, report, f.part(0, .6))
	}
	return f.kept.Verify(ctx, report)
}
