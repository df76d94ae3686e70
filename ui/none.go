//go:build noui

package ui

import "io/fs"

var files fs.FS
