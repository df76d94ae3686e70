package main

import (
	"regexp"
	"testing"
	"time"
)

// Every time that people read is in their zone and says which; with --utc it is in UTC. Events say when they were and how long
// after the one before, and what ended says how long it took.
func TestTimesSayTheirZone(t *testing.T) {
	path := journalFile(t)
	before := time.Local
	time.Local = time.FixedZone("there", 9*3600)
	defer func() { time.Local = before }()
	const second, milli = `\d{4}-\d\d-\d\d \d\d:\d\d:\d\d`, `\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}`
	bare := regexp.MustCompile(second + `(\.\d+)?(\s|$)|\d\dT\d\d:`)
	for _, c := range []struct {
		args []string
		want string // %z stands for the zone
	}{
		{[]string{"history", "run-good", "--file", path}, `(?m)^ *\d+  ` + milli + `%z  +\+\d+ms  StepScheduled b`},
		{[]string{"history", "run-good", "--file", path}, `StepCompleted a .*  took \d+ms\n`},
		{[]string{"history", "run-good", "--file", path}, `RunCompleted  took \d+ms\n`},
		{[]string{"history", "run-bad", "--file", path}, `AttemptFailed b .*  took \d+ms\n`},
		{[]string{"replay", path}, `(?m)^ *\d+  ` + milli + `%z  +\+\d+ms  StepScheduled a  \[run-good\]`},
		{[]string{"replay", path, "--run", "run-good"}, `StepCompleted a .*  took \d+ms\n`},
		{[]string{"show", "run-good", "--file", path}, `started ` + second + `%z, took \d+ms`},
		{[]string{"show", "run-good", "--file", path}, `a +completed +\d+ms, "fine`},
		{[]string{"list", "--file", path}, `completed  ` + second + `%z  \d+ms`},
	} {
		for zone, flags := range map[string][]string{`\+09:00`: nil, `Z`: {"--utc"}} {
			code, out, errs := agnt5d(t, append(c.args, flags...)...)
			want := regexp.MustCompile(regexp.MustCompile(`%z`).ReplaceAllLiteralString(c.want, zone))
			if code != 0 || !want.MatchString(out) || bare.MatchString(out) {
				t.Errorf("agnt5d %s: exit %d, want %s and no time without a zone\n%s%s", append(c.args, flags...), code, want, out, errs)
			}
		}
	}
}
