package main

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/agnt5/agnt5d/api"
	"github.com/agnt5/agnt5d/internal/socket"
	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// config is the daemon's settings: defaults, then a YAML file, then the environment, then flags.
type config struct {
	Listen         string             `yaml:"listen"`
	File           string             `yaml:"file"`
	Database       string             `yaml:"database"`
	DatabaseSchema string             `yaml:"database_schema"`
	Node           string             `yaml:"node"`
	NodeLease      time.Duration      `yaml:"node_lease"`
	Advertise      string             `yaml:"advertise"`
	Insecure       bool               `yaml:"insecure"`
	InsecureNoTLS  bool               `yaml:"insecure_no_tls"`
	OpenMetrics    bool               `yaml:"open_metrics"`
	PayloadKey     string             `yaml:"payload_key"`
	TLSCert        string             `yaml:"tls_cert"`
	TLSKey         string             `yaml:"tls_key"`
	TLSClientCA    string             `yaml:"tls_client_ca"`
	AllowHosts     []string           `yaml:"allow_host"`
	PushAllow      []string           `yaml:"push_allow"`
	Lease          time.Duration      `yaml:"lease"`
	Drain          time.Duration      `yaml:"drain"`
	MaxPayload     int                `yaml:"max_payload"`
	MaxConnections int                `yaml:"max_connections"`
	MaxBodies      int64              `yaml:"max_bodies"`
	MemoryLimit    int64              `yaml:"memory_limit"`
	LogFormat      string             `yaml:"log_format"`
	LogLevel       string             `yaml:"log_level"`
	KeepIDs        time.Duration      `yaml:"keep_deleted_ids"`
	Retention      retention          `yaml:"retention"`
	Careful        bool               `yaml:"careful"`
	TestClock      bool               `yaml:"test_clock"`
	NoUI           bool               `yaml:"no_ui"`
	UIReadOnly     bool               `yaml:"ui_read_only"`
	Services       map[string]service `yaml:"services"`

	fileGiven     bool     // on the command line
	passwordShown bool     // the database's, on the command line
	strange       []string // names in the environment that look like a setting, and are none
	misnamed      []string // settings in the environment that begin as those of clients do
}

type service struct {
	MaxConcurrent int `yaml:"max_concurrent"` // attempts at once over all its workers
}

func defaultConfig() *config {
	return &config{LogLevel: "info", Listen: "127.0.0.1:8080", File: dataFile(), Lease: 30 * time.Second, NodeLease: 5 * time.Second, Drain: 10 * time.Second,
		MaxPayload: 1 << 20, MaxConnections: 10_000, MaxBodies: api.DefaultMaxBodies, KeepIDs: 90 * 24 * time.Hour}
}

// dataFile is the journal when nobody says which; "" when there is no home to put it in.
func dataFile() string {
	if dir := dataDir(); dir != "" {
		return filepath.Join(dir, "agnt5.db")
	}
	return ""
}

// dataDir is where the journal lies when nobody says: $XDG_DATA_HOME/agnt5, else ~/.local/share/agnt5.
func dataDir() string {
	if dir := os.Getenv("XDG_DATA_HOME"); dir != "" {
		return filepath.Join(dir, "agnt5")
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return ""
	}
	return filepath.Join(home, ".local", "share", "agnt5")
}

func (c *config) flags(f *pflag.FlagSet) {
	f.StringVar(&c.Listen, "listen", c.Listen, "address to listen on, or unix:PATH; anything but loopback and a socket needs an access token and TLS")
	f.StringVar(&c.File, "file", c.File, "the journal file; created if missing")
	f.StringVar(&c.Database, "database", c.Database, "keep the journal on PostgreSQL instead of a file: postgres://USER@HOST/NAME; a password comes from PGPASSWORD, ~/.pgpass, or AGNT5D_DATABASE")
	f.StringVar(&c.DatabaseSchema, "database-schema", c.DatabaseSchema, "the schema of the journal's tables; default: agnt5")
	f.StringVar(&c.Node, "node", c.Node, "with --database: this daemon's name, which no other has; default: a random one")
	f.DurationVar(&c.NodeLease, "node-lease", c.NodeLease, "with --database: how long a silent node is waited for before another takes over")
	f.StringVar(&c.Advertise, "advertise", c.Advertise, "with --database: where others reach this daemon; default: what it listens on")
	f.BoolVar(&c.Insecure, "insecure", c.Insecure, "listen beyond loopback without TLS, and without a token while there is none: anyone who reaches the port can do everything")
	f.BoolVar(&c.InsecureNoTLS, "insecure-no-tls", c.InsecureNoTLS, "listen beyond loopback without TLS, behind a proxy that ends it")
	f.StringVar(&c.TLSCert, "tls-cert", c.TLSCert, "file with the certificate and its chain, in PEM; read again when it changes")
	f.StringVar(&c.TLSKey, "tls-key", c.TLSKey, "file with the certificate's private key, in PEM")
	f.StringVar(&c.TLSClientCA, "tls-client-ca", c.TLSClientCA, "file with authorities, in PEM: every client must show a certificate of one of them")
	f.StringVar(&c.PayloadKey, "payload-key", c.PayloadKey, "file with the keys that seal payloads in the journal: lines of an id and 32 bytes in base64, the newest last")
	f.BoolVar(&c.OpenMetrics, "open-metrics", c.OpenMetrics, "let everybody read /metrics without a token")
	f.StringSliceVar(&c.AllowHosts, "allow-host", c.AllowHosts, "further names under which requests may come (Host header)")
	f.StringSliceVar(&c.PushAllow, "push-allow", c.PushAllow, "networks that push services may stand in besides loopback, like 10.0.0.0/8")
	f.DurationVar(&c.Lease, "lease", c.Lease, "how long an attempt stays valid without a heartbeat from its worker")
	f.DurationVar(&c.Drain, "drain", c.Drain, "how long a stop waits for work in progress")
	f.IntVar(&c.MaxPayload, "max-payload", c.MaxPayload, "largest input, output, signal payload or object state, in bytes")
	f.IntVar(&c.MaxConnections, "max-connections", c.MaxConnections, "most connections at once; further ones wait")
	f.Int64Var(&c.MaxBodies, "max-bodies", c.MaxBodies, "bytes of the bodies of all requests under way together; further ones are refused as busy")
	f.Int64Var(&c.MemoryLimit, "memory-limit", c.MemoryLimit, "bytes that the garbage collector tries to stay under; 0: four fifths of the control group's limit. GOMEMLIMIT comes first")
	f.DurationVar(&c.KeepIDs, "keep-deleted-ids", c.KeepIDs, "how long the id of a deleted run cannot be used again")
	f.Var(&c.Retention.Completed, "retention-completed", "how long runs that completed are kept after their end, like 30d; 0: for ever")
	f.Var(&c.Retention.Failed, "retention-failed", "how long runs that failed are kept after their end; 0: for ever")
	f.Var(&c.Retention.Cancelled, "retention-cancelled", "how long runs that were cancelled are kept after their end; 0: for ever")
	f.BoolVar(&c.NoUI, "no-ui", c.NoUI, "serve no web page at /")
	f.BoolVar(&c.UIReadOnly, "ui-read-only", c.UIReadOnly, "the web page shows everything and offers nothing that changes anything; the API stays as it is")
	f.BoolVar(&c.Careful, "careful", c.Careful, "hold every run, hand nothing out and let no timer fire, until \"agnt5d resume --all\"")
	f.BoolVar(&c.TestClock, "test-clock", c.TestClock, "for tests: POST /v1/test-clock moves the time of timers, time-outs and retries ahead")
	f.StringVar(&c.LogLevel, "log-level", c.LogLevel, "least that is logged: debug, info, warn or error")
	f.StringVar(&c.LogFormat, "log-format", c.LogFormat, "text or json; default: text at a terminal, else json")
}

// shown gives the settings by the names of their flags. What may hold a secret is only said to be there.
func (c *config) shown() map[string]string {
	f := pflag.NewFlagSet("", pflag.ContinueOnError)
	now := *c // flags set what they are bound to
	now.flags(f)
	out := map[string]string{}
	f.VisitAll(func(f *pflag.Flag) { out[f.Name] = f.Value.String() })
	if c.Database != "" {
		out["database"] = "***"
	}
	for name, s := range c.Services {
		out["services."+name+".max_concurrent"] = strconv.Itoa(s.MaxConcurrent)
	}
	return out
}

// load puts the file and the environment under the flags that were given.
func (c *config) load(cmd *cobra.Command, file string) error {
	var restore []func() error
	given := map[string]bool{}
	cmd.Flags().Visit(func(f *pflag.Flag) {
		given[f.Name] = true
		text := f.Value.String()
		again := func() error { return f.Value.Set(text) }
		if list, ok := f.Value.(pflag.SliceValue); ok {
			items := list.GetSlice()
			again = func() error { return list.Replace(items) }
		}
		restore = append(restore, again)
	})
	if file == "" {
		_, file, _ = lookup("CONFIG")
	}
	if file != "" {
		b, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("--config: %w", err)
		}
		if err := yaml.UnmarshalWithOptions(b, c, yaml.Strict()); err != nil {
			return fmt.Errorf("--config %s: %s", file, settingError(err))
		}
	}
	var failed error
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		name, v, ok := lookup(strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_")))
		if !ok || given[f.Name] || f.Name == "config" || f.Name == "help" {
			return
		}
		if err := f.Value.Set(v); err != nil && failed == nil {
			failed = fmt.Errorf("%s=%q: %w", name, v, durationHint(err))
		}
	})
	for _, pair := range os.Environ() {
		name, _, _ := strings.Cut(pair, "=")
		if option, ok := strings.CutPrefix(name, "AGNT5D_"); ok && cmd.Flags().Lookup(strings.ToLower(strings.ReplaceAll(option, "_", "-"))) == nil {
			c.strange = append(c.strange, name) // no error: container platforms set names of their own
		}
		if option, ok := strings.CutPrefix(name, "AGNT5_"); ok && cmd.Flags().Lookup(strings.ToLower(strings.ReplaceAll(option, "_", "-"))) != nil {
			c.misnamed = append(c.misnamed, name)
		}
	}
	for _, again := range restore {
		if err := again(); err != nil {
			return err
		}
	}
	c.noteDatabase(given)
	return failed
}

// lookup finds a setting in the environment: AGNT5D_ and its name, or AGNT5_, which the settings of clients begin with.
func lookup(option string) (name, value string, ok bool) {
	for _, prefix := range []string{"AGNT5D_", "AGNT5_"} {
		if value, ok = os.LookupEnv(prefix + option); ok {
			return prefix + option, value, true
		}
	}
	return "", "", false
}

// durationHint says what a duration looks like, where one was meant.
func durationHint(err error) error {
	if text := err.Error(); strings.Contains(text, "duration") && !strings.Contains(text, "want ") {
		return fmt.Errorf("%w: want one like 30s or 5m", err)
	}
	return err
}

// settingError says what is wrong in a settings file, with its line.
func settingError(err error) string {
	text := yaml.FormatError(err, false, false) // without the lines around it: a password may stand there
	if first, rest, ok := strings.Cut(text, "\n"); ok && strings.Contains(first, "time.Duration") {
		at, _, _ := strings.Cut(first, " ")
		return at + " want a duration, like 30s\n" + rest
	}
	return text
}

// check says what is wrong with the settings, and reads the networks.
func (c *config) check() ([]netip.Prefix, error) {
	if c.Listen == "unix:" {
		return nil, errors.New(`--listen "unix:": want unix: and a path, like unix:/run/agnt5d.sock`)
	}
	if _, port, err := net.SplitHostPort(c.Listen); c.socket() != "" {
		if err := socket.Check(c.socket()); err != nil {
			return nil, fmt.Errorf("--listen %q: %w", c.Listen, err)
		}
	} else if err != nil {
		return nil, fmt.Errorf("--listen %q: want HOST:PORT, like 127.0.0.1:8080", c.Listen)
	} else if _, err := net.LookupPort("tcp", port); err != nil {
		return nil, fmt.Errorf("--listen %q: %q is not a port; want 0 to 65535, like 127.0.0.1:8080", c.Listen, port)
	}
	if err := c.checkDatabase(); err != nil {
		return nil, err
	}
	if c.File == "" && c.Database == "" {
		return nil, errors.New("neither XDG_DATA_HOME nor HOME is set: say with --file where the journal is to be")
	}
	if err := c.checkTLS(); err != nil {
		return nil, err
	}
	if c.Lease < time.Second || c.Lease > time.Hour {
		return nil, fmt.Errorf("--lease %s: want 1s to 1h", c.Lease)
	}
	if c.Drain < 0 || c.Drain > time.Hour {
		return nil, fmt.Errorf("--drain %s: want 0s to 1h", c.Drain)
	}
	if c.KeepIDs < time.Second {
		return nil, fmt.Errorf("--keep-deleted-ids %s: want 1s or more", c.KeepIDs)
	}
	if err := c.Retention.check(); err != nil {
		return nil, err
	}
	if c.MaxPayload < 1024 || c.MaxPayload > 64<<20 {
		return nil, fmt.Errorf("--max-payload %d: want 1024 to %d", c.MaxPayload, 64<<20)
	}
	if c.MaxConnections < 1 {
		return nil, fmt.Errorf("--max-connections %d: want at least 1", c.MaxConnections)
	}
	if c.MaxBodies < 1<<20 {
		return nil, fmt.Errorf("--max-bodies %d: want at least %d", c.MaxBodies, 1<<20)
	}
	if c.MemoryLimit != 0 && c.MemoryLimit < minMemory {
		return nil, fmt.Errorf("--memory-limit %d: want 0 or at least %d", c.MemoryLimit, minMemory)
	}
	if !slices.Contains([]string{"debug", "info", "warn", "error"}, c.LogLevel) {
		return nil, fmt.Errorf("--log-level %q: want debug, info, warn or error", c.LogLevel)
	}
	if c.LogFormat != "" && c.LogFormat != "text" && c.LogFormat != "json" {
		return nil, fmt.Errorf("--log-format %q: want text or json", c.LogFormat)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Services)) {
		if c.Services[name].MaxConcurrent < 0 {
			return nil, fmt.Errorf("services.%s.max_concurrent: %d, want 0 (no bound) or more", name, c.Services[name].MaxConcurrent)
		}
	}
	var out []netip.Prefix
	for _, text := range c.PushAllow {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			a, aerr := netip.ParseAddr(text)
			if aerr != nil {
				return nil, fmt.Errorf("--push-allow %q: want a network like 10.0.0.0/8 or an address", text)
			}
			p = netip.PrefixFrom(a, a.BitLen())
		}
		out = append(out, p)
	}
	return out, nil
}

func (c *config) limits() map[string]int {
	out := map[string]int{}
	for name, s := range c.Services {
		if s.MaxConcurrent > 0 {
			out[name] = s.MaxConcurrent
		}
	}
	return out
}
