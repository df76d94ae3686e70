package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/agnt5/agnt5d/client"
	"github.com/agnt5/agnt5d/internal/archive"
	"github.com/agnt5/agnt5d/internal/event"
	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/journal/bolt"
	"github.com/spf13/cobra"
)

// partSuffix is what the name of a copy ends in that is not whole yet.
const partSuffix = ".partial"

func newBackupCmd() *cobra.Command {
	var path, rate string
	var unchecked bool
	cmd := &cobra.Command{
		Use:   "backup FILE",
		Short: "Copy the journal of a running daemon, as it is at one moment, to a file",
		Long: strings.TrimSpace(`
Copies the journal of a daemon while it works, checks all of the copy, and gives it the
name FILE only then: a file of that name is a whole journal. The push secrets' key
(JOURNAL.key) and payload keys are not part of it. "agnt5d restore" puts it back.

With --file it copies a journal that no engine has open.`),
		Example: "  agnt5d backup /backups/runs-2026-11-26.db\n  agnt5d backup --rate 20MB /backups/runs.db\n  agnt5d backup --file runs.db runs-copy.db",
		Args:    nargs("FILE"),
	}
	addFile(cmd, &path)
	textFlag(cmd, &rate, "rate", "copy at most so much a second, like 20MB; default: as fast as it goes")
	cmd.Flags().BoolVar(&unchecked, "no-verify", false, "do not check the copy")
	return remoteVerb(cmd, func(cmd *cobra.Command, args []string, c *client.Client, o *remote) error {
		perSecond, err := parseRate(rate)
		if err != nil {
			return err
		}
		out := args[0]
		if err := absent(out, noOverwriting); err != nil {
			return err
		}
		b := &backup{out: out, temp: out + partSuffix, check: !unchecked, bar: barAtTerminal(cmd.ErrOrStderr())}
		defer b.bar.end()
		if path != "" {
			err = b.ofFile(cmd.Context(), path)
		} else {
			err = b.ofDaemon(cmd.Context(), c, perSecond)
		}
		if err != nil {
			_ = os.Remove(b.temp)
			return err
		}
		b.bar.end()
		if o.json() {
			return printJSON(cmd.OutOrStdout(), map[string]any{"file": out, "bytes": b.bytes, "up_to": b.upTo, "verified": b.check})
		}
		said := ", not checked"
		if b.check {
			said = ", checked"
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: the journal up to event %d, %s%s\n", out, b.upTo, mebibytes(b.bytes), said)
		return err
	})
}

// backup is a copy in the making.
type backup struct {
	out, temp string
	check     bool
	bar       *bar
	bytes     int64
	upTo      uint64
}

func (b *backup) ofDaemon(ctx context.Context, c *client.Client, rate int64) error {
	f, err := os.OpenFile(b.temp, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	err = c.JournalAt(ctx, f, rate)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := b.finish(ctx); err != nil {
		return err
	}
	return c.NoteBackup(ctx, b.upTo, b.bytes)
}

func (b *backup) ofFile(ctx context.Context, path string) error {
	j, err := openCopy(path)
	if err != nil {
		return err
	}
	defer j.Close()
	if err := j.Room(b.out); err != nil {
		return err
	}
	f, err := os.OpenFile(b.temp, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = j.Backup(f)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return b.finish(ctx)
}

// openCopy opens a journal that no engine has. It needs no payload key.
func openCopy(path string) (*bolt.Journal, error) {
	if isDatabase(path) {
		return nil, errDatabase
	}
	j, err := bolt.OpenReadOnly(path)
	if errors.Is(err, bolt.ErrLocked) {
		return nil, exit(exitConflict, "%w\n  \"agnt5d backup FILE\", without --file, copies the journal of a daemon at work.", err)
	}
	if err != nil {
		return nil, noFile(err)
	}
	return j, nil
}

// finish checks the copy and gives it its name.
func (b *backup) finish(ctx context.Context) error {
	j, err := bolt.OpenReadOnly(b.temp)
	if err != nil {
		return err
	}
	b.upTo = j.NextSeq() - 1
	if info, serr := os.Stat(b.temp); serr == nil {
		b.bytes = info.Size()
	}
	if b.check {
		err = b.verify(ctx, j, "the journal is damaged, and so is its copy, which was removed (--no-verify keeps one)")
	}
	if err = errors.Join(err, j.Close()); err != nil {
		return err
	}
	if err := absent(b.out, noOverwriting); err != nil {
		return err
	}
	return bolt.Place(b.temp, b.out)
}

// verify looks at every checksum, link and index. It needs no payload key.
func (b *backup) verify(ctx context.Context, j *bolt.Journal, what string) error {
	first, n := "", 0
	names := archive.New(j)
	_, err := j.VerifyWith(ctx, func(d journal.Damage) {
		if n++; n == 1 {
			first = damageText(names, d)
		}
	}, func(done float64) { b.bar.show("checking", done) })
	if err == nil && n > 0 {
		err = exit(exitError, "%s: %s; the first: %s", what, count(n, "place"), first)
	}
	return err
}

const noOverwriting = "no file is overwritten; choose another name"

// absent is the error of a path at which something is.
func absent(path, what string) error {
	switch _, err := os.Lstat(path); {
	case err == nil:
		return exit(exitConflict, "%s exists: %s", path, what)
	case errors.Is(err, fs.ErrNotExist):
		return nil
	default:
		return err
	}
}

// parseRate reads bytes a second; "": no limit.
func parseRate(text string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	number, unit := strings.TrimSpace(strings.TrimSuffix(text, "/s")), int64(1)
	for _, u := range []struct {
		name string
		n    int64
	}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"kB", 1000}, {"KB", 1000}, {"MB", 1e6}, {"GB", 1e9}, {"k", 1000}, {"M", 1e6}, {"G", 1e9}, {"B", 1}} {
		if n, ok := strings.CutSuffix(number, u.name); ok {
			number, unit = strings.TrimSpace(n), u.n
			break
		}
	}
	n, err := strconv.ParseFloat(number, 64)
	if rate := n * float64(unit); err == nil && rate >= 64<<10 && rate < 1<<50 {
		return int64(rate), nil
	}
	return 0, exit(exitUsage, "--rate %q: want bytes a second, at least 64KiB, like 20MB", text)
}

func mebibytes(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

func newRestoreCmd() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "restore FILE --file JOURNAL",
		Short: "Make a journal of a backup",
		Long: strings.TrimSpace(`
Checks a backup, and makes of it a journal at JOURNAL, which must not exist: nothing is
overwritten. The journal has a new secret for lease tokens, and an entry that says so:
what workers still have in hand is refused (bad_token) and offered again. Access tokens
stay. Push secrets open only with the key that stood beside the old file (JOURNAL.key).`),
		Example: "  agnt5d restore /backups/runs-2026-11-26.db --file /var/lib/agnt5/runs.db",
		Args:    nargs("FILE"),
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
			j, err := openCopy(args[0])
			if err != nil {
				return err
			}
			defer j.Close()
			bar := barAtTerminal(cmd.ErrOrStderr())
			defer bar.end()
			b := &backup{bar: bar}
			if err := b.verify(cmd.Context(), j, args[0]+" is damaged, and was not restored"); err != nil {
				return err
			}
			said := event.AppendBody(nil, []event.Event{{Kind: event.SettingChanged, Name: "journal/secret", By: "restore",
				Message: "restored from a backup that ends with event " + strconv.FormatUint(j.NextSeq()-1, 10) + ": a new secret for lease tokens; those from before are void"}})
			err = bolt.Restore(j, path, said, time.Now().UnixMilli(), func(done, all int64) { bar.show("restoring", share(done, all)) })
			if err != nil {
				return &exitErr{exitError, err}
			}
			bar.end()
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: restored up to event %d\n", path, j.NextSeq()-1)
			return err
		},
	}
	textFlag(cmd, &path, "file", "where the journal is to be")
	return cmd
}

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
var errDatabase = exit(exitUsage, "a journal on a database is copied, put back and compacted with the tools of that database: pg_dump, pg_restore and VACUUM, say")

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
