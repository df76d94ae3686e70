package build

import (
	"runtime/debug"
	"testing"
)

func TestRead(t *testing.T) {
	main := debug.Module{Path: path, Version: "v1.2.3"}
	vcs := []debug.BuildSetting{{Key: "vcs.revision", Value: "0123abc"}, {Key: "vcs.modified", Value: "true"}}
	for name, c := range map[string]struct {
		info            debug.BuildInfo
		version, commit string // by -ldflags
		want            Info
	}{
		"nothing is known":   {debug.BuildInfo{}, "", "", Info{"(devel)", "unknown", ""}},
		"our own program":    {debug.BuildInfo{GoVersion: "go1.26", Main: main, Settings: vcs[:1]}, "", "", Info{"v1.2.3", "0123abc", "go1.26"}},
		"a changed tree":     {debug.BuildInfo{Main: main, Settings: vcs}, "", "", Info{"v1.2.3", "0123abc+dirty", ""}},
		"an embedder":        {debug.BuildInfo{Main: debug.Module{Path: "shop", Version: "v9"}, Deps: []*debug.Module{&main}, Settings: vcs}, "", "", Info{"v1.2.3", "unknown", ""}},
		"what the build was": {debug.BuildInfo{Main: main, Settings: vcs}, "v2", "f00", Info{"v2", "f00", ""}},
	} {
		version, commit = c.version, c.commit
		if got := read(&c.info); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
	version, commit = "", ""
}
