package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/agnt5/agnt5d/internal/event"
	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/journal/bolt"
	"github.com/agnt5/agnt5d/journal/pg"
	"github.com/spf13/cobra"
)

// database is the flags of a verb that reads or writes a journal on PostgreSQL.
type database struct{ url, schema string }

func (d *database) flags(cmd *cobra.Command) {
	textFlag(cmd, &d.url, "database", "the database: postgres://USER@HOST/NAME; default: AGNT5D_DATABASE. A password comes from PGPASSWORD, ~/.pgpass, or AGNT5D_DATABASE")
	textFlag(cmd, &d.schema, "database-schema", "the schema of the journal's tables; default: AGNT5D_DATABASE_SCHEMA, else agnt5")
}

// options are what the flags and the environment say.
func (d *database) options() (pg.Options, error) {
	if hasPassword(d.url) {
		return pg.Options{}, exit(exitUsage, "--database has a password, which every process of this machine could see: leave it out, and set PGPASSWORD, or set AGNT5D_DATABASE instead of the flag")
	}
	o := pg.Options{URL: cmp.Or(d.url, os.Getenv("AGNT5D_DATABASE")), Schema: cmp.Or(d.schema, os.Getenv("AGNT5D_DATABASE_SCHEMA"))}
	if o.URL == "" {
		return o, exit(exitUsage, "--database is missing: name the database, like postgres://agnt5@db.example:5432/agnt5, or set AGNT5D_DATABASE")
	}
	if !isDatabase(o.URL) && !strings.Contains(o.URL, "=") {
		return o, exit(exitUsage, "--database: this is no URL of a PostgreSQL database, like postgres://agnt5@db.example:5432/agnt5")
	}
	return o, nil
}

func newImportCmd() *cobra.Command {
	var to database
	cmd := &cobra.Command{
		Use:   "import FILE --database URL",
		Short: "Make a journal on PostgreSQL of a journal file",
		Long: strings.TrimSpace(`
Carries all of a journal file into a database, checks what is there then, and commits it: all in
one transaction, so that the journal is there as a whole or not at all. The database must not
have a journal in that schema. FILE, which no daemon may have open (a backup will do), is not
changed. Runs go on where they stopped: "agnt5d serve --database URL".

The new journal has a new secret for lease tokens, and an entry that says so: what workers still
have in hand is refused (bad_token) and offered again. Access tokens stay. No daemon should go on with FILE.`),
		Example: "  agnt5d import /var/lib/agnt5/runs.db --database postgres://agnt5@db.example/agnt5",
		Args:    nargs("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := to.options()
			if err != nil {
				return err
			}
			return importFile(cmd, args[0], o)
		},
	}
	to.flags(cmd)
	return cmd
}

func importFile(cmd *cobra.Command, path string, o pg.Options) error {
	if isDatabase(path) {
		return exit(exitUsage, "%s is a database: \"agnt5d export\" makes a file of it", pg.Name(path))
	}
	j, err := bolt.OpenReadOnly(path)
	if errors.Is(err, bolt.ErrLocked) {
		return exit(exitConflict, "%w\n  Stop it first: what it writes from now on would be missing. To try it out, import a copy that \"agnt5d backup\" made.", err)
	}
	if err != nil {
		return noFile(err)
	}
	defer j.Close()
	c := carriage{from: j, verb: "import", what: "imported from a file", bar: barAtTerminal(cmd.ErrOrStderr())}
	defer c.bar.end()
	err = pg.Import(cmd.Context(), o, func(put func(*journal.Part) error) error { return c.carry(cmd.Context(), put) }, c.checking)
	switch {
	case errors.Is(err, pg.ErrExists):
		return exit(exitConflict, "%s: %w; nothing is overwritten: name another --database-schema, or remove that one first", pg.Name(o.URL), err)
	case err != nil:
		return c.failed(path, err)
	}
	c.done(cmd, pg.Name(o.URL))
	if _, err := os.Stat(path + ".key"); err == nil {
		fmt.Fprintf(cmd.ErrOrStderr(), "%s.key is not part of it: the secrets of push services that it seals must be set anew, and the daemons need --payload-key for them\n", path)
	}
	return nil
}

func newExportCmd() *cobra.Command {
	var from database
	cmd := &cobra.Command{
		Use:   "export FILE --database URL",
		Short: "Make a journal file of a journal on PostgreSQL, as it is at one moment",
		Long: strings.TrimSpace(`
Copies a journal from a database to a file, while a daemon may work on it: all of one moment. The
copy is checked, and gets the name FILE, at which nothing may be, when it is whole. A daemon can
go on with it ("agnt5d serve --file FILE"), and every verb that takes a file reads it.

The file has a new secret for lease tokens, and an entry that says so. If a daemon is to go on with
it, stop those of the database first: what they do after that moment is not in the file.`),
		Example: "  agnt5d export runs.db --database postgres://agnt5@db.example/agnt5",
		Args:    nargs("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := from.options()
			if err != nil {
				return err
			}
			return exportFile(cmd, args[0], o)
		},
	}
	from.flags(cmd)
	return cmd
}

func exportFile(cmd *cobra.Command, path string, o pg.Options) error {
	if isDatabase(path) {
		return exit(exitUsage, "%s is a database: export makes a file; pg_dump and pg_restore copy from database to database", pg.Name(path))
	}
	if err := absent(path, noOverwriting); err != nil {
		return err
	}
	j, err := pg.OpenMoment(cmd.Context(), o)
	if err != nil {
		return exit(exitError, "%s: %w", pg.Name(o.URL), err)
	}
	defer j.Close()
	c := carriage{from: j, verb: "export", what: "exported from a database", bar: barAtTerminal(cmd.ErrOrStderr())}
	defer c.bar.end()
	err = bolt.Import(cmd.Context(), path, journal.ShardOf(j.NextSeq()), func(put func(*journal.Part) error) error { return c.carry(cmd.Context(), put) }, c.checking)
	if err != nil {
		return c.failed(pg.Name(o.URL), err)
	}
	c.done(cmd, path)
	return nil
}

// carriage is one journal on its way into another one.
type carriage struct {
	from          journal.Source
	verb, what    string
	bar           *bar
	records, runs int
}

// carry gives all of the journal, and an entry of the engine that says where it came from.
func (c *carriage) carry(ctx context.Context, put func(*journal.Part) error) error {
	next := c.from.NextSeq()
	err := journal.Carry(ctx, c.from, func(done float64) { c.bar.show("copying", done) }, func(p *journal.Part) error {
		c.records += len(p.Records)
		c.runs += len(p.Heads)
		return put(p)
	})
	if err != nil {
		return err
	}
	body := event.AppendBody(nil, []event.Event{{Kind: event.SettingChanged, Name: "journal/secret", By: c.verb,
		Message: fmt.Sprintf("%s, which ends with event %d: a new secret for lease tokens; those from before are void", c.what, next-1)}})
	return put(&journal.Part{Batch: journal.Batch{Records: []journal.Record{{Seq: next, Count: 1, At: time.Now().UnixMilli(), Body: body}}}, Next: next + 1})
}

func (c *carriage) checking(done float64) { c.bar.show("checking", done) }

func (c *carriage) failed(name string, err error) error {
	var damage *journal.DamageError
	if errors.As(err, &damage) {
		return exit(exitError, "%s: %w; nothing was made. \"agnt5d verify\" lists all damage, and \"agnt5d doctor\" explains what can be done", name, err)
	}
	return fmt.Errorf("%w; nothing was made", err)
}

func (c *carriage) done(cmd *cobra.Command, name string) {
	c.bar.end()
	fmt.Fprintf(cmd.OutOrStdout(), "%s: %s and %s, up to event %d; what is there was read back and is the same\n", name, count(c.runs, "run"), count(c.records, "record"), c.from.NextSeq()-1)
}
