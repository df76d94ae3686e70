package main

import (
	"errors"
	"fmt"

	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/journal/bolt"
	"github.com/spf13/cobra"
)

func newDoctorCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor FILE",
		Short: "Explain what is wrong with a journal that does not open, and how to fix it",
		Long: `Opens a journal as an engine would, without changing it, and checks all of it. It explains what it finds and
repairs nothing, so that data that cannot be trusted never looks as if it could be.`,
		Example: "  agnt5d doctor runs.db",
		Args:    nargs("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			out := cmd.OutOrStdout()
			f, err := openFile(args[0])
			switch {
			case errors.Is(err, bolt.ErrDamagedFile):
				fmt.Fprintln(out, "The pages that index the rows are damaged, so lookups in this file cannot be trusted.")
				fmt.Fprintln(out, "Keep the file as it is and continue from a backup that opens; nothing else in it is safe to use.")
				return err
			case errors.Is(err, bolt.ErrNewerFormat):
				fmt.Fprintln(out, "The file is whole. Open it with the release that wrote it, or a later one.")
				return err
			case errors.Is(err, bolt.ErrNotJournal):
				fmt.Fprintln(out, "This is not a journal, or only a part of one. Nothing in it was changed.")
				return err
			case errors.Is(err, bolt.ErrLocked):
				fmt.Fprintln(out, "The file is in use by another process; that is not damage. Stop that process to look at the file.")
				return err
			case err != nil:
				return err
			}
			defer f.Close()
			n := 0
			stats, err := f.verify(cmd.Context(), func(d journal.Damage) {
				n++
				fmt.Fprintln(out, f.lie(d))
			})
			if err != nil {
				return &exitErr{exitError, err}
			}
			for i := range stats.newer {
				fmt.Fprintln(out, &stats.newer[i])
			}
			if n == 0 {
				_, err = fmt.Fprintf(out, "%s opens, and nothing in it is damaged.\n", f.path)
				return err
			}
			fmt.Fprintf(out, "Damaged: %s. The file opens: an engine quarantines the runs listed above, and the others continue.\n\"cancel\" ends a quarantined run that is open, \"delete\" removes one that had ended.\n", count(n, "place"))
			return exit(exitError, "")
		},
	}
}
