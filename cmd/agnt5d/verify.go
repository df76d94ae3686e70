package main

import (
	"encoding/json"
	"fmt"

	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/journal/bolt"
	"github.com/spf13/cobra"
)

// counts says what was looked at.
func counts(s journal.Verified) string {
	return count(int(s.Records), "record") + ", " + count(int(s.Events), "event")
}

func newVerifyCmd() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:     "verify FILE",
		Short:   "Check every checksum, link and index of a journal, and list all damage",
		Example: "  agnt5d verify runs.db",
		Args:    nargs("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			if bolt.IsIncrement(args[0]) {
				return verifyIncrement(cmd, args[0], format)
			}
			f, err := openFile(args[0], checkThere)
			if err != nil {
				return err
			}
			defer f.Close()
			out := cmd.OutOrStdout()
			bar := barAtTerminal(cmd.ErrOrStderr())
			f.progress = func(done float64) { bar.show("checking", done) }
			found := []finding{}
			stats, err := f.verify(cmd.Context(), func(d journal.Damage) {
				found = append(found, f.finding(d))
				bar.end()
				if format != "json" {
					fmt.Fprintln(out, f.lie(d))
				}
			})
			bar.end()
			if err != nil {
				return &exitErr{exitError, err}
			}
			if format == "json" {
				err = json.NewEncoder(out).Encode(map[string]any{"ok": stats.Damages == 0, "damages": found, "newer": stats.newer, "stats": stats.Verified})
			} else {
				for i := range stats.newer {
					fmt.Fprintln(out, &stats.newer[i])
				}
				if stats.Damages == 0 {
					_, err = fmt.Fprintf(out, "%s: nothing is damaged: %s\n", f.path, counts(stats.Verified))
				}
			}
			if err == nil && stats.Damages > 0 {
				return exit(exitError, "")
			}
			return err
		},
	}
	addFormat(cmd, &format)
	return cmd
}

// verifyIncrement checks an increment of a backup. What it is put to is checked by restore.
func verifyIncrement(cmd *cobra.Command, path, format string) error {
	bar := barAtTerminal(cmd.ErrOrStderr())
	in, err := bolt.OpenIncrement(path, func(done, all int64) { bar.show("checking", share(done, all)) })
	bar.end()
	if err != nil {
		return restoreErr(err)
	}
	if format == "json" {
		return printJSON(cmd.OutOrStdout(), map[string]any{"ok": true, "damages": []finding{}, "since": in.Since, "up_to": in.UpTo, "bytes": in.Bytes})
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: nothing is damaged: an increment, after event %d up to event %d\n", path, in.Since, in.UpTo)
	return err
}
