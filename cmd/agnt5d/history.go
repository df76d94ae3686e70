package main

import (
	"encoding/json"
	"fmt"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/replay"
	"github.com/spf13/cobra"
)

func newHistoryCmd() *cobra.Command {
	var format, path string
	cmd := &cobra.Command{
		Use:     "history RUN --file PATH",
		Short:   "Print a run's events, one compact line each",
		Example: "  agnt5d history order-17 --file runs.db",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			if path == "" {
				return exit(exitUsage, "history: name the journal with --file PATH")
			}
			f, err := openFile(path)
			if err != nil {
				return err
			}
			defer f.Close()
			run, err := f.find(args[0])
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			w := newWalker(f)
			w.each = func(e engine.Event, _ *replay.State, _ []string) error {
				if format == "json" {
					return json.NewEncoder(out).Encode(e)
				}
				_, err := fmt.Fprintln(out, line(&e))
				return err
			}
			err = f.scan(run, run-1, func(r *journal.Record) error { return w.record(r, 0) },
				func(d journal.Damage) error {
					if d.Run == run {
						return f.lie(d)
					}
					return nil
				})
			return broken(f, err)
		},
	}
	cmd.Flags().StringVar(&path, "file", "", "the journal to read; no daemon may hold it")
	addFormat(cmd, &format)
	return cmd
}
