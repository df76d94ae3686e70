package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/journal/bolt"
	"github.com/spf13/cobra"
)

func newDoctorCmd() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "doctor FILE",
		Short: "Explain what is wrong with a journal that does not open, and how to fix it",
		Long: `Opens a journal as an engine would, without changing it, and checks all of it. It explains what it finds and
repairs nothing, so that data that cannot be trusted never looks as if it could be.`,
		Example: "  agnt5d doctor runs.db\n  agnt5d doctor runs.db -o json",
		Args:    nargs("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			d, err := diagnose(cmd, args[0])
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
	return cmd
}

// diagnosis is what a look at a journal found. The error that goes with it is the program's.
type diagnosis struct {
	Verdict string     `json:"verdict"` // ok, damaged, pages_damaged, newer_format, not_a_journal, in_use
	Advice  string     `json:"advice"`
	Opens   bool       `json:"opens"`
	Damages []finding  `json:"damages"`
	Newer   []newerRun `json:"newer"` // runs that wait for a newer release; that is no damage

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
func diagnose(cmd *cobra.Command, path string) (*diagnosis, error) {
	d := &diagnosis{Damages: []finding{}, Newer: []newerRun{}}
	f, err := openFile(path, checkThere)
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
	stats, err := f.verify(cmd.Context(), func(at journal.Damage) {
		d.Damages, d.lie = append(d.Damages, f.finding(at)), append(d.lie, f.lie(at).Error())
	})
	if err != nil {
		return nil, &exitErr{exitError, err}
	}
	d.Note = sizeNote(f.path)
	d.Opens, d.Newer = true, append(d.Newer, stats.newer...)
	if len(d.Damages) == 0 {
		d.Verdict, d.Advice = "ok", fmt.Sprintf("%s opens, and nothing in it is damaged.", f.path)
		return d, nil
	}
	d.Verdict = "damaged"
	d.Advice = fmt.Sprintf("Damaged: %s. The file opens: an engine quarantines the runs that are named, and the others continue.\n\"cancel\" ends a quarantined run that is open, \"delete\" removes one that had ended.", count(len(d.Damages), "place"))
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
