package main

import (
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/jackc/pgx/v5/pgconn"
)

// The compose file of the example says what this program understands: its flags and settings are there, its nodes differ, and each is where it says
// that it is.
func TestTheComposeFileFitsTheProgram(t *testing.T) {
	text, err := os.ReadFile("../../examples/cluster/compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	type service struct {
		Build struct {
			Context    string `yaml:"context"`
			Dockerfile string `yaml:"dockerfile_inline"`
		} `yaml:"build"`
		Image       string            `yaml:"image"`
		Command     []string          `yaml:"command"`
		Environment map[string]string `yaml:"environment"`
		DependsOn   map[string]any    `yaml:"depends_on"`
		Healthcheck struct {
			Test []string `yaml:"test"`
		} `yaml:"healthcheck"`
	}
	var file struct {
		Services map[string]service `yaml:"services"`
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	nodes := map[string]bool{}
	for name, s := range file.Services {
		if s.Image != "" {
			continue
		}
		cmd := newServeCmd()
		if len(s.Command) == 0 || s.Command[0] != cmd.Name() {
			t.Fatalf("%s runs %q", name, s.Command)
		}
		if err := cmd.ParseFlags(s.Command[1:]); err != nil || len(cmd.Flags().Args()) > 0 {
			t.Fatalf("%s: %v, %q", name, err, cmd.Flags().Args())
		}
		flag := func(name string) string { return cmd.Flags().Lookup(name).Value.String() }
		_, port, _ := strings.Cut(flag("listen"), ":")
		if at, err := url.Parse(flag("advertise")); err != nil || at.Hostname() != name || at.Port() != port || flag("allow-host") != "["+name+"]" {
			t.Errorf("%s is at %s, and listens on %s for %s", name, flag("advertise"), flag("listen"), flag("allow-host"))
		}
		nodes[flag("node")] = true
		for key, value := range s.Environment {
			setting, own := strings.CutPrefix(key, "AGNT5D_")
			if option := strings.ToLower(strings.ReplaceAll(setting, "_", "-")); own && cmd.Flags().Lookup(option) == nil {
				t.Errorf("%s: there is no setting %s", name, key)
			} else if !own && key != "PGPASSWORD" {
				t.Errorf("%s: what is %s?", name, key)
			}
			if key != "AGNT5D_DATABASE" {
				continue
			}
			to, err := pgconn.ParseConfig(value)
			if err != nil {
				t.Fatal(err)
			}
			db, there := file.Services[to.Host]
			if !there || db.Environment["POSTGRES_USER"] != to.User || db.Environment["POSTGRES_DB"] != to.Database || s.DependsOn[to.Host] == nil || hasPassword(value) {
				t.Errorf("%s: no such database: %s", name, value)
			}
		}
		if test := s.Healthcheck.Test; len(test) == 0 || !strings.HasSuffix(test[len(test)-1], ":"+port+"/healthz") {
			t.Errorf("%s: its health is %q", name, test)
		}
		mod, _ := os.ReadFile("../../go.mod")
		_, after, _ := strings.Cut(string(mod), "\ngo ")
		version, _, _ := strings.Cut(after, "\n")
		if !strings.Contains(s.Build.Dockerfile, "golang:"+strings.Join(strings.Split(version, ".")[:2], ".")+"-") || s.Build.Context != "../.." || !strings.Contains(s.Build.Dockerfile, `ENTRYPOINT ["agnt5d"]`) {
			t.Errorf("%s is built by %s in %s", name, s.Build.Dockerfile, s.Build.Context)
		}
	}
	if len(nodes) != 2 {
		t.Errorf("the nodes are %v", nodes)
	}
}
