package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/agnt5/agnt5d/api"
	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/journal/pg"
	"github.com/jackc/pgx/v5/pgconn"
)

// checkDatabase says what is wrong with the settings of a journal on PostgreSQL.
func (c *config) checkDatabase() error {
	if c.Database == "" {
		for name, set := range map[string]bool{"--node": c.Node != "", "--advertise": c.Advertise != "", "--database-schema": c.DatabaseSchema != ""} {
			if set {
				return fmt.Errorf("%s is for a journal on PostgreSQL: it needs --database", name)
			}
		}
		return nil
	}
	if c.fileGiven {
		return errors.New("--file and --database: the journal is kept in one of them; \"agnt5d import FILE --database URL\" takes a file over")
	}
	if _, err := pgconn.ParseConfig(c.Database); err != nil {
		return errors.New("--database: this is no URL of a PostgreSQL database, like postgres://agnt5@db.example:5432/agnt5")
	}
	if c.passwordShown {
		return errors.New("--database has a password, which every process of this machine could see: leave it out, and set PGPASSWORD, or set AGNT5D_DATABASE instead of the flag")
	}
	if c.Advertise != "" {
		u, err := url.Parse(c.Advertise)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" {
			return errors.New("--advertise: want the address under which others reach this daemon, like http://10.0.0.1:8080")
		}
	}
	if c.NodeLease < time.Second || c.NodeLease > 10*time.Minute {
		return fmt.Errorf("--node-lease %s: want 1s to 10m", c.NodeLease)
	}
	return nil
}

// noteDatabase remembers what only the command line shows.
func (c *config) noteDatabase(given map[string]bool) {
	c.fileGiven = given["file"]
	c.passwordShown = given["database"] && hasPassword(c.Database)
}

var passwordSetting = regexp.MustCompile(`(?i)password\s*=`)

// hasPassword says whether a password stands in the text of a database's address.
func hasPassword(dsn string) bool {
	if u, err := url.Parse(dsn); err == nil && u.User != nil {
		if _, set := u.User.Password(); set {
			return true
		}
	}
	return passwordSetting.MatchString(dsn)
}

// name is what errors and the log call the journal.
func (c *config) name() string {
	if c.Database != "" {
		return pg.Name(c.Database)
	}
	return c.File
}

// openDatabase waits until this node has the journal, and opens the engine on it. Until then requests are answered by standby.
func (d *node) openDatabase(ctx context.Context, o engine.Options, standby *api.Standby) (*engine.Engine, *pg.Journal, error) {
	name := d.o.name()
	standby.Tell("this node is connecting to the database", "")
	j, err := pg.Wait(ctx, pg.Options{URL: d.o.Database, Schema: d.o.DatabaseSchema, Node: d.o.Node, Addr: d.advertised, Lease: d.o.NodeLease, Notice: d.notice},
		func(owner *pg.HeldError, err error) {
			if owner == nil {
				d.log.Warn("the database does not answer; trying again", "database", name, "error", err)
				standby.Tell("the database does not answer", "")
				return
			}
			d.log.Info("standby: another node has the journal", "active", owner.Owner, "at", owner.Addr)
			standby.Tell("another node has the journal; this one takes over when it is gone", owner.Addr)
		})
	if errors.Is(err, context.Canceled) {
		return nil, nil, errStopped
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", name, err)
	}
	standby.Tell("this node has the journal and reads it", "")
	d.log.Info("active: this node has the journal", "node", j.Node(), "database", name)
	eng, err := engine.OpenOn(j, name, o)
	return eng, j, err
}

// notice logs what the journal says of its database.
func (d *node) notice(text string, err error) {
	if err != nil {
		d.log.Warn(text, "database", d.o.name(), "error", err)
		return
	}
	d.log.Info(text, "database", d.o.name())
}

// isDatabase says whether what was given as a journal's file is the URL of a database.
func isDatabase(path string) bool {
	return strings.HasPrefix(path, "postgres://") || strings.HasPrefix(path, "postgresql://")
}

// openTables opens a journal on PostgreSQL to be read.
func openTables(dsn string) (*file, error) {
	if hasPassword(dsn) {
		return nil, exit(exitUsage, "the database's URL has a password, which every process of this machine could see: leave it out, and set PGPASSWORD")
	}
	j, err := pg.OpenReadOnly(context.Background(), pg.Options{URL: dsn, Schema: os.Getenv("AGNT5D_DATABASE_SCHEMA")})
	if err != nil {
		return nil, exit(exitError, "%s: %w", pg.Name(dsn), err)
	}
	return unsealed(j, pg.Name(dsn))
}

// openEngine opens the engine on a journal in a file or a database, as a daemon would.
func openEngine(ctx context.Context, path string, o engine.Options) (*engine.Engine, error) {
	if !isDatabase(path) {
		return engine.Open(path, o)
	}
	if hasPassword(path) {
		return nil, exit(exitUsage, "the database's URL has a password, which every process of this machine could see: leave it out, and set PGPASSWORD")
	}
	j, err := pg.Open(ctx, pg.Options{URL: path, Schema: os.Getenv("AGNT5D_DATABASE_SCHEMA")})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", pg.Name(path), err)
	}
	return engine.OpenOn(j, pg.Name(path), o)
}
