package main

import (
	"fmt"
	"log/slog"
	"os"
)

// careless says that others can read a file with a secret; "": they cannot, or there is no such file.
func careless(path, what string) string {
	info, err := os.Stat(path)
	if err != nil || !exposed(info) {
		return ""
	}
	return fmt.Sprintf("others can read or change %s (mode %04o): chmod 600 %s", what, info.Mode().Perm(), path)
}

// warnCareless logs that others can read a file with a secret.
func warnCareless(log *slog.Logger, path, what string) {
	if text := careless(path, what); text != "" {
		log.Warn(text, "file", path)
	}
}
