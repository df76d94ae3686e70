package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/agnt5/agnt5d/client"
	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/internal/archive"
	"github.com/agnt5/agnt5d/internal/listing"
	"github.com/agnt5/agnt5d/internal/sealed"
	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/journal/bolt"
	"github.com/agnt5/agnt5d/model"
)

// file is a journal that no engine holds, opened to be read.
type file struct {
	kept
	*archive.Archive
	log    journal.Log // the journal with its payloads opened
	path   string
	copied bool // of a daemon's journal

	progress func(done float64) // of a check; nil: nobody wants to know
}

// kept is a journal with a check of all that it is kept in.
type kept interface {
	journal.Log
	Verify(ctx context.Context, report func(journal.Damage)) (journal.Verified, error)
}

// The ways to a journal that a daemon holds, for those who named its file.
const (
	leaveOut   = "leave --file out to ask the daemon (--url or AGNT5_URL says where it is)"
	checkThere = "\"agnt5d replay --check\", without a file, checks a copy of a daemon's journal"
	replayIt   = "\"agnt5d replay\", without a file, reads a copy of a daemon's journal"
	pageThere  = "a daemon serves the page itself, at its own address"
)

// openFile opens a journal without changing a byte of it. instead says what to do when a daemon holds it. A path that is the URL of a
// database leads to a journal there, which may be read while a daemon works on it.
func openFile(path, instead string) (*file, error) {
	if isDatabase(path) {
		return openTables(path)
	}
	j, err := bolt.OpenReadOnly(path)
	if err != nil {
		if errors.Is(err, bolt.ErrLocked) {
			return nil, exit(exitConflict, "%w\n  %s; a program that embeds the engine\n  answers where it serves package api (docs/embedding.md, \"Looking at a running engine\").", err, strings.ToUpper(instead[:1])+instead[1:])
		}
		return nil, noFile(err)
	}
	return unsealed(j, path)
}

// unsealed is a journal with its payloads opened.
func unsealed(j kept, path string) (*file, error) {
	archive.NameRuns(j)
	codec, err := keyOfFile()
	if err != nil {
		return nil, errors.Join(err, j.Close())
	}
	log, err := sealed.Wrap(j, codec)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, keyHint(err)), j.Close())
	}
	return &file{kept: j, Archive: archive.New(log), log: log, path: path}, nil
}

// find gives the number of the run with an id.
func (f *file) find(id string) (uint64, error) {
	run, err := f.Find(id, 0)
	var deleted *archive.DeletedError
	switch {
	case errors.As(err, &deleted):
		return 0, exit(exitNotFound, "run %q: %w", id, deleted)
	case errors.Is(err, engine.ErrRunNotFound) && f.copied:
		return 0, exit(exitNotFound, "no run %q in %s (\"agnt5d list\" shows those there are)", id, f.path)
	case errors.Is(err, engine.ErrRunNotFound):
		return 0, exit(exitNotFound, "no run %q in %s (\"agnt5d replay %s\" shows every run)", id, f.path, f.path)
	case err != nil:
		return 0, &exitErr{exitError, err}
	}
	return run, nil
}

// walk takes a walk over the records of one run or (0) of all, up to the sequence until (0: to their end). Damage to them ends it.
func (f *file) walk(w *archive.Walk, run, until uint64) error {
	for rec, err := range f.Records(max(run, 1) - 1) {
		gap, is := archive.Gap(err)
		if is {
			gap = f.owned(gap, run)
		}
		switch {
		case is && (run == 0 || gap.Run == run):
			return f.lie(gap)
		case is:
			continue
		case err == nil && until != 0 && rec.Seq > until:
			return nil
		case err == nil && (run == 0 || rec.Run == run):
			err = w.Record(rec, until)
		}
		if errors.Is(err, archive.ErrStop) {
			return nil
		}
		if err != nil {
			return f.broken(err)
		}
	}
	return nil
}

// owned is damage with the run whose it is, where that can be told: a run has the number of its first record, and links and the head
// of the run that is looked for (0: all) lead to its others.
func (f *file) owned(gap journal.Damage, run uint64) journal.Damage {
	if gap.Run != 0 {
		return gap
	}
	if _, err := f.Archive.Head(gap.Seq); err == nil {
		gap.Run = gap.Seq
	} else if h, err := f.Archive.Head(run); err == nil && run != 0 {
		_, err := f.RunRecords(run, h.LastSeq, 1, 0)
		if its, is := archive.Gap(err); is && its.Seq == gap.Seq {
			gap.Run = run
		}
	}
	return gap
}

// broken names the run of a history that does not fold.
func (f *file) broken(err error) error {
	var b *archive.BrokenError
	if errors.As(err, &b) {
		return exit(exitError, "%s: record %d of run %s: %v", f.path, b.Seq, f.Name(b.Run), b.Why)
	}
	var x *exitErr
	if !errors.As(err, &x) {
		return &exitErr{exitError, err}
	}
	return err
}

// lie ends a check: what is on disk is not what was written.
func (f *file) lie(d journal.Damage) error {
	return exit(exitError, "%s: %s", f.path, damageText(f.Archive, d))
}

// damageText names what is damaged, with the id of its run.
func damageText(names *archive.Archive, d journal.Damage) string {
	text := d.Kind
	if d.Seq != 0 {
		text = fmt.Sprintf("%s %d", d.Kind, d.Seq)
	}
	if d.Run != 0 {
		text += " of run " + names.Name(d.Run)
	}
	return text + ": " + d.Detail
}

// status gives a run as it was when the file was last written. Who works on it only an engine knows.
func (f *file) status(id string) (*model.Status, error) {
	run, err := f.find(id)
	if err != nil {
		return nil, err
	}
	w := f.Walk()
	if err := f.walk(w, run, 0); err != nil {
		return nil, err
	}
	look := &archive.Look{S: w.States[run]}
	if newer := w.Newer[run]; newer != nil {
		head, err := f.Archive.Head(run)
		if err != nil {
			return nil, f.broken(err)
		}
		look = archive.Waiting(head, w.States[run], newer)
	} else {
		look.Reasons = engine.ReasonsThen(look.S)
	}
	return f.Status(look, archive.AllSteps)
}

// lastOf gives the head of a run, and its last record.
func (f *file) lastOf(id string) (h journal.Head, last uint64, err error) {
	run, err := f.find(id)
	if err != nil {
		return h, 0, err
	}
	w := f.Walk()
	if err := f.walk(w, run, 0); err != nil {
		return h, 0, err
	}
	if h, err = f.Archive.Head(run); err != nil {
		return h, 0, f.broken(err)
	}
	if newer := w.Newer[run]; newer != nil {
		return h, newer.Last, nil
	}
	return h, w.States[run].LastSeq, nil
}

// lastWritten gives the time of the newest record, in Unix ms; 0: there is none.
func (f *file) lastWritten() (at int64, err error) {
	next := f.NextSeq()
	for rec, err := range f.Records(next - min(next, 2)) {
		if err == nil { // damage to it is told where its run is looked at
			at = rec.At
		}
	}
	return at, nil
}

// page gives a page of runs, as the client does for a daemon.
func (f *file) page(_ context.Context, want client.Filter, limit int, cursor string) ([]model.RunHead, string, error) {
	filter, err := listing.Read(want.Values())
	if err != nil {
		return nil, "", &archive.FilterError{Detail: err.Error()}
	}
	filter.Limit, filter.Cursor = limit, cursor
	return archive.Runs(f.kept, filter, nil)
}

// definition gives a version of a workflow.
func (f *file) definition(name string, version uint32) ([]byte, error) {
	all, _, err := f.Versions()
	if err != nil {
		return nil, err
	}
	for _, d := range all {
		if d.Name == name && d.Digest != "" && (d.Version == version || version == 0 && d.Current) {
			return f.DefinitionBody(d.Digest)
		}
	}
	return nil, fmt.Errorf("%s: no workflow %s version %d", f.path, name, version)
}
