package client

import (
	"log/slog"
	"os"
	"sync"
)

var misnamed sync.Map // settings of which it was said that they are misnamed

// setting is a client's setting in the environment, AGNT5_ and the name. AGNT5D_, which the daemon's own settings begin with, is taken
// for it where that is not set, and the log says so.
func setting(name string) string {
	if value := os.Getenv("AGNT5_" + name); value != "" {
		return value
	}
	value := os.Getenv("AGNT5D_" + name)
	if value == "" {
		return ""
	}
	if _, said := misnamed.LoadOrStore(name, true); !said {
		slog.Warn("AGNT5D_" + name + " is taken for AGNT5_" + name + ": AGNT5D_ is for settings of the daemon")
	}
	return value
}
