package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/agnt5/agnt5d/internal/archive"
	"github.com/agnt5/agnt5d/internal/event"
	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/journal/bolt"
	"github.com/spf13/cobra"
)

func newDoctorCmd() *cobra.Command {
	var format, repaired string
	cmd := &cobra.Command{
		Use:   "doctor FILE",
		Short: "Explain what is wrong with a journal that does not open, and how to fix it",
		Long: `Opens a journal as an engine would, without changing it, and checks all of it. It explains what it finds.

With --repair NEW it makes a new journal of what is whole, and lists the runs that are lost. FILE is never
changed. A run of which a record is lost is left out as a whole, and its id cannot be used again for 90 days:
half a run would do its steps a second time.`,
		Example: "  agnt5d doctor runs.db\n  agnt5d doctor runs.db --repair repaired.db\n  agnt5d doctor runs.db -o json",
		Args:    nargs("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			if repaired != "" {
				if isDatabase(args[0]) {
					return errDatabase
				}
				if err := absent(repaired, noOverwriting); err != nil {
					return err
				}
			}
			d, err := diagnose(cmd, args[0], repaired)
			if d == nil {
				return err
			}
			if format == "json" {
				if perr := printJSON(cmd.OutOrStdout(), d); perr != nil {
					return perr
				}
			} else if perr := d.print(cmd); perr != nil {
				return perr
			}
			return err
		},
	}
	addFormat(cmd, &format)
	textFlag(cmd, &repaired, "repair", "make a new journal of what is whole, at this path")
	return cmd
}

// diagnosis is what a look at a journal found. The error that goes with it is the program's.
type diagnosis struct {
	Verdict string     `json:"verdict"` // ok, damaged, pages_damaged, newer_format, not_a_journal, in_use
	Advice  string     `json:"advice"`
	Opens   bool       `json:"opens"`
	Damages []finding  `json:"damages"`
	Newer   []newerRun `json:"newer"` // runs that wait for a newer release; that is no damage

	Repaired string   `json:"repaired,omitempty"` // the new journal
	Lost     []string `json:"lost,omitempty"`     // the runs that are not in it

	Note string `json:"note,omitempty"` // what is worth knowing though nothing is wrong

	lie []string // the damages, for people
}

// finding is one place that is damaged.
type finding struct {
	Seq    uint64 `json:"seq"`
	Run    string `json:"run,omitempty"`
	Kind   string `json:"kind"`
	Detail string `json:"detail"`
}

func (f *file) finding(d journal.Damage) finding {
	one := finding{Seq: d.Seq, Kind: d.Kind, Detail: d.Detail}
	if d.Run != 0 {
		one.Run = f.Name(d.Run)
	}
	return one
}

// closed is what keeps a journal from being opened.
var closed = []struct {
	err             error
	verdict, advice string
}{
	{bolt.ErrDamagedFile, "pages_damaged", "The pages that index the rows are damaged, so lookups in this file cannot be trusted.\nKeep the file as it is and continue from a backup that opens; nothing else in it is safe to use."},
	{bolt.ErrNewerFormat, "newer_format", "The file is whole. Open it with the release that wrote it, or a later one."},
	{bolt.ErrNotJournal, "not_a_journal", "This is not a journal, or only a part of one. Nothing in it was changed."},
	{bolt.ErrLocked, "in_use", "The file is in use by another process; that is not damage. Stop that process to look at the file."},
}

// diagnose looks at a journal. Without a diagnosis, the error is that it could not look.
func diagnose(cmd *cobra.Command, path, repaired string) (*diagnosis, error) {
	d := &diagnosis{Damages: []finding{}, Newer: []newerRun{}}
	f, err := openFile(path, checkThere)
	renewed := false
	if errors.Is(err, bolt.ErrStartRows) {
		if repaired == "" {
			d.Verdict, d.Advice = "damaged", fmt.Sprintf("%s does not open: a row that every start needs is damaged, and the rest was not checked.\n\"agnt5d doctor %s --repair NEW\" makes a new journal of it.", path, path)
			d.Damages = append(d.Damages, finding{Kind: "start", Detail: err.Error()})
			return d, err
		}
		mended := repaired + ".mended"
		defer os.Remove(mended)
		if f, renewed, err = d.mend(path, mended); err != nil && !errors.Is(err, bolt.ErrDamagedFile) {
			return nil, &exitErr{exitError, fmt.Errorf("%s was not made: %w", repaired, err)}
		}
	}
	for _, c := range closed {
		if errors.Is(err, c.err) {
			d.Verdict, d.Advice = c.verdict, c.advice
			return d, err
		}
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	bar := barAtTerminal(cmd.ErrOrStderr())
	defer bar.end()
	f.progress = func(done float64) { bar.show("checking", done) }
	lost := map[uint64]string{}
	stats, err := f.verify(cmd.Context(), func(at journal.Damage) {
		if at.Run != 0 && (at.Kind == "record" || at.Kind == "link" || at.Kind == "history") {
			lost[at.Run] = f.Name(at.Run)
		}
		d.Damages, d.lie = append(d.Damages, f.finding(at)), append(d.lie, f.lie(at).Error())
	})
	if err != nil {
		return nil, &exitErr{exitError, err}
	}
	d.Note = sizeNote(f.path)
	d.Opens, d.Newer = true, append(d.Newer, stats.newer...)
	if repaired != "" {
		if err := d.repair(cmd.Context(), f, repaired, lost, renewed, bar); err != nil {
			return nil, err
		}
		d.Verdict, d.Advice = "repaired", fmt.Sprintf("%s is made of what is whole, and is whole; %s of %s did not make it. %s was not changed.\nA daemon folds the whole log when it starts on it for the first time.", repaired, count(len(d.Lost), "run"), f.path, f.path)
		return d, nil
	}
	if len(d.Damages) == 0 {
		d.Verdict, d.Advice = "ok", fmt.Sprintf("%s opens, and nothing in it is damaged.", f.path)
		return d, nil
	}
	d.Verdict = "damaged"
	d.Advice = fmt.Sprintf("Damaged: %s. The file opens: an engine quarantines the runs that are named, and the others continue.\n\"cancel\" ends a quarantined run that is open, \"delete\" removes one that had ended.\n\"agnt5d doctor --repair NEW\" makes a new journal of what is whole.", count(len(d.Damages), "place"))
	return d, exit(exitError, "")
}

// print says it to people.
func (d *diagnosis) print(cmd *cobra.Command) error {
	out := cmd.OutOrStdout()
	for _, line := range d.lie {
		fmt.Fprintln(out, line)
	}
	for i := range d.Newer {
		fmt.Fprintln(out, &d.Newer[i])
	}
	for _, id := range d.Lost {
		fmt.Fprintf(out, "lost: run %q\n", id)
	}
	if d.Note != "" {
		fmt.Fprintln(out, d.Note)
	}
	_, err := fmt.Fprintln(out, d.Advice)
	return err
}

// largeFile is from which size on doctor says what keeps a journal small.
const largeFile = 1 << 30

func sizeNote(path string) string {
	info, err := os.Stat(path)
	if err != nil || info.Size() <= largeFile {
		return ""
	}
	return fmt.Sprintf("%s has %.1f GiB. Runs that have ended are kept for ever unless the daemon is told otherwise: \"agnt5d serve --retention-completed 30d\" and so on, or \"agnt5d purge\".",
		path, float64(info.Size())/(1<<30))
}

// keptLost is how long the ids of lost runs cannot be used again.
const keptLost = 90 * 24 * time.Hour

// repair makes a new journal of what is whole.
func (d *diagnosis) repair(ctx context.Context, f *file, path string, lost map[uint64]string, renewed bool, bar *bar) error {
	j, ok := f.kept.(*bolt.Journal)
	if !ok {
		return errDatabase
	}
	known, err := f.Registered()
	if err != nil {
		return &exitErr{exitError, err}
	}
	now := time.Now()
	lost, err = bolt.Repair(ctx, j, path, bolt.RepairOptions{
		Lost: lost,
		Name: f.Name,
		Head: func(run, last uint64) (journal.Head, error) {
			s, err := f.FoldRun(run, last)
			if err != nil {
				return journal.Head{}, err
			}
			return archive.HeadOf(s), nil
		},
		Definitions: known,
		Entry: func(lost map[uint64]string) ([]byte, uint32) {
			all := entries(lost, renewed)
			return event.AppendBody(nil, all), uint32(len(all))
		},
		At: now.UnixMilli(), Until: now.Add(keptLost).UnixMilli(),
		Progress: func(done, all int64) { bar.show("repairing", share(done, all)) },
	})
	if err != nil {
		return &exitErr{exitError, fmt.Errorf("%s was not made: %w", path, err)}
	}
	bar.end()
	d.Repaired, d.Lost = path, []string{}
	for _, run := range slices.Sorted(maps.Keys(lost)) {
		d.Lost = append(d.Lost, lost[run])
	}
	return nil
}

// entries are the events that tell of a repair.
func entries(lost map[uint64]string, renewed bool) (all []event.Event) {
	var gone []event.Deleted
	for _, run := range slices.Sorted(maps.Keys(lost)) {
		gone = append(gone, event.Deleted{Run: run, ID: lost[run]})
	}
	if len(gone) > 0 {
		all = append(all, event.Event{Kind: event.RunsDeleted, Payload: event.AppendDeleted(nil, gone...), Message: "lost to damage", By: "doctor"})
	}
	if renewed {
		all = append(all, event.Event{Kind: event.SettingChanged, Name: "journal/secret", By: "doctor",
			Message: "repaired: a new secret for lease tokens; those from before are void"})
	}
	return all
}

// mend opens a copy of a journal in which the rows are whole without which it does not open.
func (d *diagnosis) mend(path, temp string) (f *file, renewed bool, err error) {
	made, err := bolt.Mend(path, temp)
	if err != nil {
		return nil, false, err
	}
	if f, err = openFile(temp, checkThere); err != nil {
		return nil, false, err
	}
	f.path = path
	for _, at := range made.Damages {
		d.Damages, d.lie = append(d.Damages, f.finding(at)), append(d.lie, f.lie(at).Error())
	}
	return f, made.Renewed, nil
}
