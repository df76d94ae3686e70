package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/agnt5/agnt5d/client"
	"github.com/agnt5/agnt5d/internal/archive"
	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/journal/bolt"
	"github.com/spf13/cobra"
)

// partSuffix is what the name of a copy ends in that is not whole yet.
const partSuffix = ".partial"

func newBackupCmd() *cobra.Command {
	var path, rate, since string
	var unchecked bool
	cmd := &cobra.Command{
		Use:   "backup FILE",
		Short: "Copy the journal of a running daemon, as it is at one moment, to a file",
		Long: strings.TrimSpace(`
Copies the journal of a daemon while it works, checks all of the copy, and gives it the
name FILE only then: a file of that name is a whole journal. The push secrets' key
(JOURNAL.key) and payload keys are not part of it. "agnt5d restore" puts it back.

With --since it writes an increment, which has only what a backup of before lacks: that one,
or the last event in it, is named. "agnt5d restore FILE INCREMENT..." puts them together.

With --file it copies a journal that no engine has open.`),
		Example: "  agnt5d backup /backups/runs-2026-11-26.db\n  agnt5d backup --since /backups/runs-2026-11-26.db /backups/runs-2026-11-27.incr\n  agnt5d backup --rate 20MB /backups/runs.db\n  agnt5d backup --file runs.db runs-copy.db",
		Args:    nargs("FILE"),
	}
	addFile(cmd, &path)
	textFlag(cmd, &rate, "rate", "copy at most so much a second, like 20MB; default: as fast as it goes, and 33 MiB while runs commit")
	textFlag(cmd, &since, "since", "write an increment: only what came after the backup FILE, or after the event with this number")
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
		if _, err := os.Stat(filepath.Dir(out)); errors.Is(err, fs.ErrNotExist) {
			return exit(exitNotFound, "there is no folder %s for the copy: make it first, or name another FILE", filepath.Dir(out))
		}
		from, err := sinceWhat(since)
		if err != nil {
			return err
		}
		b := &backup{since: from, before: since, out: out, temp: out + partSuffix, check: !unchecked, bar: barAtTerminal(cmd.ErrOrStderr())}
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
			return printJSON(cmd.OutOrStdout(), map[string]any{"file": out, "bytes": b.bytes, "since": b.since, "up_to": b.upTo, "verified": b.check})
		}
		said := ", not checked"
		if b.check {
			said = ", checked"
		}
		what := "the journal"
		if b.since != 0 {
			what = fmt.Sprintf("an increment: the journal after event %d", b.since)
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: %s up to event %d, %s%s\n", out, what, b.upTo, mebibytes(b.bytes), said)
		return err
	})
}

// backup is a copy in the making.
type backup struct {
	out, temp string
	since     uint64 // an increment after this event; 0: a whole copy
	before    string // --since
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
	err = c.JournalSince(ctx, f, b.since, rate)
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
	room := j.Room
	if b.since != 0 {
		room = bolt.Spare
	}
	if err := room(b.out); err != nil {
		return err
	}
	f, err := os.OpenFile(b.temp, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if b.since != 0 {
		_, err = j.Increment(f, b.since, time.Now().UnixMilli(), archive.Touched)
	} else {
		_, err = j.Backup(f)
	}
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
	if err := b.look(ctx); err != nil {
		return err
	}
	if err := absent(b.out, noOverwriting); err != nil {
		return err
	}
	return bolt.Place(b.temp, b.out)
}

// look reads the copy. An increment is always checked: it is read once, from its beginning to its end.
func (b *backup) look(ctx context.Context) error {
	if b.since != 0 {
		in, err := bolt.OpenIncrement(b.temp, func(done, all int64) { b.bar.show("checking", share(done, all)) })
		if err != nil {
			return err
		}
		b.upTo, b.bytes, b.check = in.UpTo, in.Bytes, true
		if strconv.FormatUint(b.since, 10) == b.before {
			return nil
		}
		if err := in.Follows(b.before); err != nil {
			return exit(exitConflict, "%s is not a backup of this journal, or one of before it was restored: make a whole backup, and increments after that", b.before)
		}
		return nil
	}
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
	return errors.Join(err, j.Close())
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

// sinceWhat reads the last event of the backup before an increment: its number, or that backup. "": 0.
func sinceWhat(text string) (uint64, error) {
	if text == "" {
		return 0, nil
	}
	if n, err := strconv.ParseUint(text, 10, 64); err == nil && n > 0 {
		return n, nil
	}
	if bolt.IsIncrement(text) {
		in, err := bolt.OpenIncrement(text, nil)
		if err != nil {
			return 0, restoreErr(err)
		}
		return in.UpTo, nil
	}
	j, err := bolt.OpenReadOnly(text)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, exit(exitUsage, "--since %q: want the backup before, or the number of the last event in it, which \"agnt5d backup\" printed", text)
	}
	if err != nil {
		return 0, noFile(err)
	}
	return j.NextSeq() - 1, j.Close()
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
