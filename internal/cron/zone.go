package cron

import (
	"fmt"
	"regexp"
	"sync"
	"time"
)

// zones holds what was read of the machine's zone data: it is read once for each zone, so that a due time that is worked out
// again and again reads no files, and the same rules hold as long as the process lives.
var zones sync.Map // name -> *time.Location

var zoneName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9][A-Za-z0-9_+-]*){0,2}$`)

// notZones are names that the machine's zone data may know and that mean something else from machine to machine.
var notZones = regexp.MustCompile(`^(Local|localtime|posixrules|Factory|posix/.*|right/.*)$`)

// Zone finds a zone by its IANA name; "" is UTC.
func Zone(name string) (*time.Location, error) {
	if name == "" {
		return time.UTC, nil
	}
	if loc, ok := zones.Load(name); ok {
		return loc.(*time.Location), nil
	}
	if len(name) > 64 || !zoneName.MatchString(name) || notZones.MatchString(name) {
		return nil, fmt.Errorf("time_zone %.80q: want an IANA name such as Europe/Berlin", name)
	}
	loc, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("time_zone %q: unknown; want an IANA name such as Europe/Berlin", name)
	}
	zones.Store(name, loc)
	return loc, nil
}
