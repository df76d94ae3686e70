//go:build !noui

package ui

import (
	"embed"
	"io/fs"
)

//go:embed dist
var dist embed.FS

// files are those that the build made; nil: this program has no page.
var files, _ = fs.Sub(dist, "dist")
