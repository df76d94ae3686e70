package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/internal/archive"
	"github.com/agnt5/agnt5d/internal/rfc3339"
	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/model"
	"github.com/agnt5/agnt5d/replay"
	"github.com/spf13/cobra"
)

type replayFlags struct {
	run    string
	at     uint64
	check  bool
	step   bool
	format string
	address
}

// journal gives the file to fold, and what removes it when it is a copy.
func (o *replayFlags) journal(cmd *cobra.Command, args []string) (path string, away func(), err error) {
	if len(args) > 0 {
		return args[0], func() {}, nil
	}
	c, err := o.connect(cmd.ErrOrStderr())
	if err != nil {
		return "", nil, err
	}
	dir, err := os.MkdirTemp("", "agnt5d-replay-")
	if err != nil {
		return "", nil, err
	}
	away = func() { os.RemoveAll(dir) }
	path = filepath.Join(dir, "copy.db")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err == nil {
		err = errors.Join(c.Journal(cmd.Context(), f), f.Close())
	}
	if err != nil {
		away()
	}
	return path, away, err
}

func newReplayCmd() *cobra.Command {
	var o replayFlags
	cmd := &cobra.Command{
		Use:   "replay [FILE]",
		Short: "Show exactly what happened: replay a journal event by event",
		Long: `Folds a journal, and prints each event with what it changed. FILE is one that no engine holds; without it the journal of a
live daemon is copied as it is at this moment, and the copy is folded.

--at N shows the state of each run as it was after event N. --check prints nothing but the verdict: every checksum and
link is looked at, everything is folded twice, and digests are compared with the heads; the exit code is 1 at the first
thing that is not as it was written, named by sequence and run, and 6 when nothing is damaged but a newer release of agnt5d
wrote on a run in ways that this one does not understand. --step walks a run forward and back: Enter or n goes on,
p goes back, a number goes there, q ends.`,
		Example: "  agnt5d replay runs.db\n  agnt5d replay runs.db --run order-17\n  agnt5d replay runs.db --at 4812 -o json\n  agnt5d replay runs.db --check\n  agnt5d replay --run order-17 --url http://127.0.0.1:8080",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return nargs("FILE")(cmd, args)
			}
			return namedRun(cmd, o.run)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkFormat(o.format); err != nil {
				return err
			}
			path, away, err := o.journal(cmd, args)
			if err != nil {
				return told(err)
			}
			defer away()
			f, err := openFile(path, replayIt)
			if err != nil {
				return err
			}
			defer f.Close()
			if len(args) == 0 {
				f.path, f.copied = "the daemon's journal", true
			}
			var run uint64
			if o.run != "" {
				if run, err = f.find(o.run); err != nil {
					return err
				}
			}
			switch {
			case o.check:
				return check(cmd, f, o.format)
			case o.step:
				return step(cmd, f, run)
			case cmd.Flags().Changed("at") && o.at == 0:
				return exit(exitUsage, "--at 0: the first event is 1")
			case o.at != 0:
				return stateAt(cmd, f, run, o)
			}
			return show(cmd, f, run, o)
		},
	}
	o.address.flags(cmd, ", when no FILE is named")
	textFlag(cmd, &o.run, "run", "only this run")
	_ = cmd.RegisterFlagCompletionFunc("run", runIDs())
	cmd.Flags().Uint64Var(&o.at, "at", 0, "the state as it was after this event")
	cmd.Flags().BoolVar(&o.check, "check", false, "replay everything twice and compare; exit 1 at the first inconsistency")
	cmd.Flags().BoolVar(&o.step, "step", false, "walk forward and back (with --run)")
	cmd.MarkFlagsMutuallyExclusive("check", "step", "at")
	addFormat(cmd, &o.format)
	return cmd
}

func show(cmd *cobra.Command, f *file, run uint64, o replayFlags) error {
	out := cmd.OutOrStdout()
	l := &eventLines{in: zone(cmd), named: run == 0}
	w := f.Walk()
	w.Each = func(e model.Event, _ *replay.State, changed []string) error {
		if o.format == "json" {
			return json.NewEncoder(out).Encode(struct {
				model.Event
				Changed []string `json:"changed,omitempty"`
			}{e, changed})
		}
		fmt.Fprintln(out, l.line(&e))
		for _, c := range changed {
			fmt.Fprintf(out, "         %s\n", c)
		}
		return nil
	}
	return f.walk(w, run, 0)
}

// stateAt shows the state of one run, or of all, as it was after an event.
func stateAt(cmd *cobra.Command, f *file, run uint64, o replayFlags) error {
	w := f.Walk()
	if err := f.walk(w, run, o.at); err != nil {
		return err
	}
	order := slices.Sorted(maps.Keys(w.States))
	for n := range w.Newer { // a newer release began it
		if w.States[n] == nil {
			order = append(order, n)
		}
	}
	if last := f.NextSeq() - 1; o.at > last {
		return exit(exitNotFound, "%s: event %d is not there; the last one is %d", f.path, o.at, last)
	}
	if len(order) == 0 {
		return exit(exitNotFound, "no run had begun at event %d", o.at)
	}
	for _, n := range order {
		if w.States[n] == nil {
			fmt.Fprintf(cmd.ErrOrStderr(), "run %s: %v\n", f.Name(n), w.Newer[n])
			continue
		}
		if err := printState(cmd, w.States[n], o.format); err != nil {
			return err
		}
	}
	return nil
}

func printState(cmd *cobra.Command, s *replay.State, format string) error {
	out := cmd.OutOrStdout()
	if format == "json" {
		return json.NewEncoder(out).Encode(stateJSON(s))
	}
	fmt.Fprintf(out, "run %s  %s  version %d  %s  %s\n", s.ID, s.Workflow, s.Version, s.Status, count(int(s.Events), "event"))
	for i, st := range s.All() {
		fmt.Fprintf(out, "  %-30s %s", s.Name(i), st.State)
		if st.Attempt > 0 {
			fmt.Fprintf(out, ", attempt %d", st.Attempt)
		}
		if st.Due != 0 && st.State.Open() {
			fmt.Fprintf(out, ", until %s", local(rfc3339.Format(st.Due), zone(cmd)))
		}
		if st.Error != nil && st.State != replay.StepCompleted {
			fmt.Fprintf(out, ", %s%s: %.100s", earlier(st.State.String(), st.Error.Attempt, st.Attempt), st.Error.Code, st.Error.Message)
		}
		fmt.Fprintln(out)
	}
	return nil
}

func stateJSON(s *replay.State) map[string]any {
	steps := map[string]any{}
	for i, st := range s.All() {
		one := map[string]any{"state": st.State.String(), "attempt": st.Attempt, "since": rfc3339.Format(st.Since)}
		if st.Due != 0 && st.State.Open() {
			one["due"] = rfc3339.Format(st.Due)
		}
		if st.Error != nil {
			one["error"] = map[string]any{"code": st.Error.Code, "message": st.Error.Message, "attempt": st.Error.Attempt}
		}
		steps[s.Name(i)] = one
	}
	return map[string]any{"workflow_id": s.ID, "workflow_name": s.Workflow, "version": s.Version, "state": s.Status.String(), "events": s.Events,
		"created_at": rfc3339.Format(s.CreatedAt), "steps": steps, "digest": fmt.Sprintf("%x", s.Digest())}
}

// check looks at everything twice. It stops at the first inconsistency.
func check(cmd *cobra.Command, f *file, format string) error {
	var first journal.Damage
	stats, err := f.verify(cmd.Context(), func(d journal.Damage) {
		if first.Kind == "" || first.Run == 0 && d.Run != 0 && d.Seq == first.Seq {
			first = d
		}
	})
	if err != nil {
		return &exitErr{exitError, err}
	}
	if first.Kind != "" {
		return f.lie(first)
	}
	var sums [2]map[uint64][]byte
	var runs, events uint64
	for pass := range sums {
		sums[pass] = map[uint64][]byte{}
		runs, events = 0, 0
		w := f.Walk()
		for rec, err := range f.Records(0) {
			if err != nil {
				return f.broken(err)
			}
			events += uint64(rec.Count)
			if err := w.Record(rec, 0); err != nil {
				return f.broken(err)
			}
			if rec.Run == 0 {
				continue
			}
			if rec.Prev == 0 {
				runs++
			}
			if w.Newer[rec.Run] == nil {
				if err := compare(f, w, rec, sums[pass]); err != nil {
					return f.broken(err)
				}
			}
		}
		for n, s := range w.States {
			sums[pass][n] = s.Digest()
		}
	}
	for n, sum := range sums[0] {
		if !bytes.Equal(sum, sums[1][n]) {
			return exit(exitError, "%s: run %s folds to two states, %x and %x", f.path, f.Name(n), sum, sums[1][n])
		}
	}
	out := cmd.OutOrStdout()
	if n := len(stats.newer); n > 0 {
		if format == "json" {
			if err := json.NewEncoder(out).Encode(map[string]any{"ok": false, "runs": runs, "events": events, "newer": stats.newer}); err != nil {
				return err
			}
			return exit(exitConflict, "")
		}
		for i := range stats.newer {
			fmt.Fprintln(out, &stats.newer[i])
		}
		return exit(exitConflict, "%s: nothing is damaged, but %d of %d runs could not be checked to their end: check them with the release that wrote them", f.path, n, runs)
	}
	if format == "json" {
		return json.NewEncoder(out).Encode(map[string]any{"ok": true, "runs": runs, "events": events})
	}
	_, err = fmt.Fprintf(out, "%s: %s, %s: every checksum and link holds, two folds agree with each other and with the heads\n", f.path, count(int(runs), "run"), count(int(events), "event"))
	return err
}

// compare holds the state after a record against what the run's head and snapshot say of that very record.
func compare(f *file, w *archive.Walk, r *journal.Record, sums map[uint64][]byte) error {
	s := w.States[r.Run]
	if s.Status != replay.Running { // heads with a digest are written when a run ends
		h, err := f.Archive.Head(r.Run)
		if err != nil && !errors.Is(err, engine.ErrRunNotFound) {
			return err
		}
		if err == nil && h.LastSeq == r.Seq {
			sum := s.Digest()
			if len(h.Digest) > 0 && !bytes.Equal(h.Digest, sum) {
				return exit(exitError, "%s: record %d of run %s: folds to digest %x, its head says %x", f.path, r.Seq, s.ID, sum, h.Digest)
			}
			if len(s.Outs) == 0 { // nothing more comes
				sums[r.Run] = sum
				delete(w.States, r.Run)
				if s.Status == replay.Failed || s.Status == replay.Cancelled { // unless it is retried: keep it
					w.States[r.Run] = s
				}
			}
		}
	}
	return nil
}

// step walks a run forward and back on lines of input.
func step(cmd *cobra.Command, f *file, run uint64) error {
	if run == 0 {
		return exit(exitUsage, "replay --step: name the run with --run ID")
	}
	var seqs []uint64
	var texts []string
	l := &eventLines{in: zone(cmd)}
	w := f.Walk()
	w.Each = func(e model.Event, _ *replay.State, _ []string) error {
		seqs, texts = append(seqs, e.Seq), append(texts, l.line(&e))
		return nil
	}
	if err := f.walk(w, run, 0); err != nil {
		return err
	}
	return walk(cmd, f, run, seqs, texts)
}
