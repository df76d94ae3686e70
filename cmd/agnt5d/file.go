package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/agnt5/agnt5d/client"
	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/fold"
	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/journal/bolt"
	"github.com/agnt5/agnt5d/model"
	"github.com/agnt5/agnt5d/replay"
)

// file is a journal that no engine holds, opened to be read.
type file struct {
	*bolt.Journal
	path   string
	graphs map[flow.Digest]*flow.Graph
	ids    map[uint64]string
}

// openFile opens a journal without changing a byte of it.
func openFile(path string) (*file, error) {
	j, err := bolt.OpenReadOnly(path)
	if err != nil {
		if errors.Is(err, bolt.ErrLocked) {
			return nil, &exitErr{exitConflict, err}
		}
		return nil, noFile(err)
	}
	return &file{Journal: j, path: path, graphs: map[flow.Digest]*flow.Graph{}, ids: map[uint64]string{}}, nil
}

func (f *file) graph(d flow.Digest) (*flow.Graph, error) {
	if g := f.graphs[d]; g != nil {
		return g, nil
	}
	body, err := f.DefinitionBody(string(d))
	if err != nil {
		return nil, err
	}
	g, err := fold.Graph(d, body)
	if err == nil {
		f.graphs[d] = g
	}
	return g, err
}

// name is what a run is called: its id, or its number when its head cannot be read.
func (f *file) name(run uint64) string {
	if id, ok := f.ids[run]; ok {
		return id
	}
	h, ok, err := f.Head(run)
	if err != nil || !ok {
		return fmt.Sprintf("#%d", run)
	}
	f.ids[run] = h.ID
	return h.ID
}

// find gives the number of the run with an id.
func (f *file) find(id string) (uint64, error) {
	run, until, ok, err := f.Lookup(id)
	switch {
	case err != nil:
		return 0, &exitErr{exitError, err}
	case until != 0:
		return 0, exit(exitNotFound, "run %q was deleted; its id is kept until %s", id, replay.FormatTime(until))
	case !ok:
		return 0, exit(exitNotFound, "no run %q in %s (\"agnt5d replay %s\" shows every run)", id, f.path, f.path)
	}
	return run, nil
}

// scan calls fn for each record, of one run or (0) of all, in the order of the log. Damage is handed to hurt, which says
// whether to go on.
func (f *file) scan(run, after uint64, fn func(*journal.Record) error, hurt func(journal.Damage) error) error {
	for {
		from := after
		var batch []journal.Record
		err := f.Scan(after, 1024, func(r journal.Record) error {
			r.Body = append([]byte(nil), r.Body...)
			batch = append(batch, r)
			return nil
		})
		for i := range batch {
			after = batch[i].Seq + uint64(batch[i].Count) - 1
			if run == 0 || batch[i].Run == run {
				if err := fn(&batch[i]); err != nil {
					return err
				}
			}
		}
		var d *journal.DamageError
		switch {
		case errors.As(err, &d):
			if err := hurt(d.Damage); err != nil {
				return err
			}
			if next := d.Seq + max(uint64(d.Count), 1) - 1; next > after {
				after = next
				continue
			}
			return err
		case err != nil:
			return err
		case after == from:
			return nil
		}
	}
}

// lie ends a check: what is on disk is not what was written.
func (f *file) lie(d journal.Damage) error {
	text := d.Kind
	if d.Seq != 0 {
		text = fmt.Sprintf("%s %d", d.Kind, d.Seq)
	}
	if d.Run != 0 {
		text += " of run " + f.name(d.Run)
	}
	return exit(exitError, "%s: %s: %s", f.path, text, d.Detail)
}

// state folds a run up to its last record, or to the first that a newer release wrote.
func (f *file) state(run uint64) (*replay.State, *engine.NewerError, error) {
	w := newWalker(f)
	err := f.scan(run, run-1, func(r *journal.Record) error { return w.record(r, 0) }, func(d journal.Damage) error {
		if d.Run == run {
			return f.lie(d)
		}
		return nil
	})
	return w.states[run], w.newer[run], broken(f, err)
}

// status gives a run as it would be if an engine opened the file now.
func (f *file) status(id string) (*model.Status, error) {
	run, err := f.find(id)
	if err != nil {
		return nil, err
	}
	s, newer, err := f.state(run)
	if err != nil {
		return nil, err
	}
	if newer != nil {
		return engine.NewReader(f.Journal).Waiting(id, s, newer)
	}
	return engine.NewReader(f.Journal).Status(s)
}

// page gives a page of runs, as the client does for a daemon.
func (f *file) page(_ context.Context, want client.Filter, limit int, cursor string) ([]model.RunHead, string, error) {
	filter := engine.ListFilter{Workflow: want.Workflow, State: want.State, IDPrefix: want.IDPrefix, Limit: limit}
	for text, into := range map[string]*int64{want.Since: &filter.Since, want.Until: &filter.Until} {
		if text == "" {
			continue
		}
		t, err := time.Parse(time.RFC3339, text)
		if err != nil {
			return nil, "", exit(exitUsage, "%q is not a time like 2026-11-23T08:00:00Z", text)
		}
		*into = t.UnixMilli()
	}
	if cursor != "" {
		filter.Before, _ = strconv.ParseUint(cursor, 10, 64) // our own, from below
	}
	runs, err := engine.NewReader(f.Journal).List(filter)
	if err != nil || len(runs) < limit {
		return runs, "", err
	}
	return runs, strconv.FormatUint(runs[len(runs)-1].Number, 10), nil
}

// definition gives a version of a workflow.
func (f *file) definition(name string, version uint32) ([]byte, error) {
	all, err := f.Definitions()
	if err != nil {
		return nil, err
	}
	for _, d := range all {
		if d.Name == name && (d.Version == version || version == 0 && d.Current) {
			return f.DefinitionBody(d.Digest)
		}
	}
	return nil, fmt.Errorf("%s: no workflow %s version %d", f.path, name, version)
}
