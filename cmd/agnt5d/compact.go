package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/agnt5/agnt5d/client"
	"github.com/agnt5/agnt5d/journal/bolt"
	"github.com/spf13/cobra"
)

func share(done, all int64) float64 {
	if all <= 0 {
		return 1
	}
	return min(float64(done)/float64(all), 1)
}

func newCompactCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "compact [FILE]",
		Short: "Give the space of deleted runs back: rewrite a journal without its free pages",
		Long: strings.TrimSpace(`
Rewrites the journal of a daemon while it works: its rows are copied, what changes
meanwhile is copied again, and between two commits the copy takes the place of the file.
With FILE it does so to a journal that no engine has open. The old file stays until the
new one is whole; the disk needs room for both, and nothing is begun without it.`),
		Example: "  agnt5d compact\n  agnt5d compact runs.db",
		Args:    cobra.MaximumNArgs(1),
	}
	inner := remoteVerb(cmd, func(cmd *cobra.Command, _ []string, c *client.Client, o *remote) error {
		bar := barAtTerminal(cmd.ErrOrStderr())
		defer bar.end()
		ctx, stop := context.WithCancel(cmd.Context())
		watched := make(chan struct{})
		go func() {
			defer close(watched)
			watchCompaction(ctx, c, bar)
		}()
		got, err := c.Compact(cmd.Context())
		stop()
		<-watched
		if err != nil {
			return err
		}
		bar.end()
		if o.json() {
			return printJSON(cmd.OutOrStdout(), got)
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "from %s to %s; commits waited for %.1f ms\n", mebibytes(got.BeforeBytes), mebibytes(got.AfterBytes), got.PausedMS)
		return err
	})
	online := inner.RunE
	inner.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return online(cmd, args)
		}
		if err := checkArg(cmd, "FILE", args[0]); err != nil {
			return err
		}
		return compactFile(cmd, args[0])
	}
	return inner
}

// errDatabase says who keeps a journal on a database.
var errDatabase = exit(exitUsage, "a journal on a database is copied, put back, compacted and repaired with the tools of that database: pg_dump, pg_restore and VACUUM, say; \"agnt5d export\" makes a file of it")

func compactFile(cmd *cobra.Command, path string) error {
	if isDatabase(path) {
		return errDatabase
	}
	bar := barAtTerminal(cmd.ErrOrStderr())
	defer bar.end()
	before, after, err := bolt.Compact(path, func(done, all int64) { bar.show("compacting", share(done, all)) })
	if err != nil {
		if errors.Is(err, bolt.ErrLocked) {
			return exit(exitConflict, "%w\n  \"agnt5d compact\", without a file, compacts the journal of a daemon at work.", err)
		}
		return noFile(err)
	}
	bar.end()
	if format, _ := cmd.Flags().GetString("output"); format == "json" {
		return printJSON(cmd.OutOrStdout(), client.Compaction{BeforeBytes: before, AfterBytes: after})
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "from %s to %s\n", mebibytes(before), mebibytes(after))
	return err
}

// watchCompaction shows how far a daemon's compaction is, until ctx ends.
func watchCompaction(ctx context.Context, c *client.Client, bar *bar) {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if at, err := c.Compacting(ctx); err == nil && at.Running {
			bar.show("compacting", share(at.CopiedBytes, at.TotalBytes))
		}
	}
}
