// Package build says what this binary was built from.
package build

import (
	"runtime/debug"
	"sync"
)

// A build sets them with -ldflags "-X github.com/agnt5/agnt5d/internal/build.version=v1.2.3 -X ...build.commit=0123abc". Without,
// they are what the Go command recorded.
var version, commit string

// Info is what a binary was built from.
type Info struct {
	Version string // of the module, or as the build was told: "(devel)" when neither is known
	Commit  string // of the source; with "+dirty" when that had been changed; "unknown" when it was not recorded
	Go      string // that compiled it
}

// Read gives what this binary was built from.
var Read = sync.OnceValue(func() Info {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	return read(info)
})

const path = "github.com/agnt5/agnt5d"

func read(info *debug.BuildInfo) Info {
	out := Info{Version: "(devel)", Commit: "unknown", Go: info.GoVersion}
	main := info.Main.Path == path
	modules := info.Deps
	if main {
		modules = []*debug.Module{&info.Main}
	}
	for _, m := range modules {
		if m.Path == path && m.Version != "" {
			out.Version = m.Version
		}
	}
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	if rev := settings["vcs.revision"]; rev != "" && main { // of an embedder's program it is the embedder's
		out.Commit = rev
		if settings["vcs.modified"] == "true" {
			out.Commit += "+dirty"
		}
	}
	if version != "" {
		out.Version = version
	}
	if commit != "" {
		out.Commit = commit
	}
	return out
}
