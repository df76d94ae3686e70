package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"github.com/agnt5/agnt5d/internal/event"
	"github.com/agnt5/agnt5d/journal/bolt"
	"github.com/spf13/cobra"
)

func newRestoreCmd() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "restore FILE [INCREMENT...] --file JOURNAL",
		Short: "Make a journal of a backup and the increments after it",
		Long: strings.TrimSpace(`
Checks a backup and the increments after it, in their order, and makes of them a journal at
JOURNAL, which must not exist: nothing is overwritten. The journal has a new secret for lease tokens, and an entry that says so:
what workers still have in hand is refused (bad_token) and offered again. Access tokens
stay. Push secrets open only with the key that stood beside the old file (JOURNAL.key).`),
		Example: "  agnt5d restore /backups/runs-2026-11-26.db --file /var/lib/agnt5/runs.db\n  agnt5d restore /backups/monday.db /backups/tuesday.incr /backups/wednesday.incr --file runs.db",
		Args: func(cmd *cobra.Command, args []string) error {
			return nargs(append([]string{"FILE"}, make([]string, max(len(args)-1, 0))...)...)(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if path == "" {
				return exit(exitUsage, "--file is missing: say where the journal is to be")
			}
			if isDatabase(path) {
				return errDatabase
			}
			if err := absent(path, "nothing is overwritten; move it away first, or choose another --file"); err != nil {
				return err
			}
			bar := barAtTerminal(cmd.ErrOrStderr())
			defer bar.end()
			upTo, err := restore(cmd.Context(), path, args[0], args[1:], bar)
			if err != nil {
				return err
			}
			bar.end()
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: restored up to event %d\n", path, upTo)
			return err
		},
	}
	textFlag(cmd, &path, "file", "where the journal is to be")
	return cmd
}

// restore makes a journal at path.
func restore(ctx context.Context, path, copied string, increments []string, bar *bar) (upTo uint64, err error) {
	if bolt.IsIncrement(copied) {
		return 0, exit(exitUsage, "%s is an increment: name the whole backup before it first, and then the increments in their order", copied)
	}
	j, err := openCopy(copied)
	if err != nil {
		return 0, err
	}
	defer j.Close()
	b := &backup{bar: bar}
	if err := b.verify(ctx, j, copied+" is damaged, and was not restored"); err != nil {
		return 0, err
	}
	upTo = j.NextSeq() - 1
	o := bolt.RestoreOptions{At: time.Now().UnixMilli(), Progress: func(what string, done, all int64) { bar.show(what, share(done, all)) }}
	for _, name := range increments {
		in, err := bolt.OpenIncrement(name, func(done, all int64) { bar.show("checking", share(done, all)) })
		if err != nil {
			return 0, restoreErr(err)
		}
		o.Increments, upTo = append(o.Increments, in), in.UpTo
	}
	o.Body = event.AppendBody(nil, []event.Event{{Kind: event.SettingChanged, Name: "journal/secret", By: "restore",
		Message: "restored from a backup that ends with event " + strconv.FormatUint(upTo, 10) + ": a new secret for lease tokens; those from before are void"}})
	upTo, err = bolt.Restore(ctx, j, path, o)
	return upTo, restoreErr(err)
}

// restoreErr gives an error the exit code that it has.
func restoreErr(err error) error {
	var file *bolt.FileError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist), errors.As(err, &file):
		return noFile(err)
	}
	return &exitErr{exitError, err}
}
