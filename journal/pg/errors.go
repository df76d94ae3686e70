package pg

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/agnt5/agnt5d/journal"
)

// States of PostgreSQL (SQLSTATE) that the journal understands.
const (
	divisionByZero  = "22012" // the fence
	uniqueViolation = "23505" // somebody has written at that place of the log
	undefinedTable  = "42P01"
	undefinedSchema = "3F000"
	duplicateTable  = "42P07"
	deadlock        = "40P01"
	lockTimeout     = "55P03"
	diskFull        = "53100"
)

func codeOf(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code
	}
	return ""
}

// passing says that an error may go away by itself: the connection, a restart or a switch of the database, too many connections, a
// deadlock. What it said of a commit is not to be believed.
func passing(err error) bool {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return true
	}
	if pg.Severity != "ERROR" {
		return true
	}
	for _, class := range []string{"08", "40", "53", "57", "58", "25006"} { // 25006: the server is a standby, which may be promoted
		if strings.HasPrefix(pg.Code, class) {
			return pg.Code != diskFull
		}
	}
	return pg.Code == lockTimeout
}

// away says that a database did not answer, or not yet: that it may do so later. A password that is wrong will be wrong then, too.
func away(err error) bool {
	var connect *pgconn.ConnectError
	var network net.Error
	if code := codeOf(err); code != "" {
		return passing(err) || strings.HasPrefix(code, "57P")
	}
	return errors.As(err, &connect) || errors.As(err, &network) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// HeldError says that another node has the shard.
type HeldError struct {
	Owner, Addr string
	Until       time.Time // when its lease ends, if it does not renew it
}

func (e *HeldError) Error() string {
	at := ""
	if e.Addr != "" {
		at = " at " + e.Addr
	}
	return fmt.Sprintf("the journal is in the hands of the node %s%s", e.Owner, at)
}

// ErrHeld is what a *HeldError is, with errors.Is.
var ErrHeld = errors.New("another node has the journal")

// Is makes every HeldError an ErrHeld.
func (e *HeldError) Is(err error) bool { return err == ErrHeld }

// ErrLost is the ErrBroken of a database that has lost what it had acknowledged: a standby that was behind has been promoted, or an older
// copy was put back.
var ErrLost = errors.New("the database has lost acknowledged commits")

type brokenError struct{ err error }

func (e *brokenError) Error() string { return "journal: stopped: " + e.err.Error() }

func (e *brokenError) Unwrap() []error { return []error{journal.ErrBroken, e.err} }

func lost(ends, begin uint64) error {
	return &brokenError{fmt.Errorf("%w: its log ends before %d, and this node has committed up to %d; a standby that was behind was promoted, or an older copy was put back", ErrLost, ends, begin-1)}
}
