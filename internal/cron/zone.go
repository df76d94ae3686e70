package cron

import (
	"archive/zip"
	"bytes"
	_ "embed"
	"fmt"
	"io"
	"regexp"
	"sync"
	"time"
)

// ZoneData is the release of the zone data that the program carries: it comes with Go, in lib/time/zoneinfo.zip.
const ZoneData = "2025c"

// archive is that data. What a machine has installed is asked only for a zone that it lacks, so that a schedule means the same
// moments on every machine, and new zone data comes with a new release of ours.
//
//go:embed zoneinfo.zip
var archive []byte

var files = sync.OnceValues(func() (map[string]*zip.File, error) {
	z, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		return nil, err
	}
	all := make(map[string]*zip.File, len(z.File))
	for _, f := range z.File {
		all[f.Name] = f
	}
	return all, nil
})

// zones holds what was read: a zone is read once, so that a due time that is worked out again and again reads nothing, and the
// same rules hold as long as the process lives.
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
	loc, err := load(name)
	if err != nil {
		return nil, fmt.Errorf("time_zone %q: unknown; want an IANA name such as Europe/Berlin", name)
	}
	got, _ := zones.LoadOrStore(name, loc)
	return got.(*time.Location), nil
}

func load(name string) (*time.Location, error) {
	all, err := files()
	if err != nil {
		return nil, err
	}
	f := all[name]
	if f == nil {
		return time.LoadLocation(name)
	}
	r, err := f.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	return time.LoadLocationFromTZData(name, data)
}
