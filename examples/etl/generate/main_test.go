package main

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// What is committed under data/sources is what the generator makes of data/weather.csv.
func TestTheCommittedSourcesAreTheGeneratedOnes(t *testing.T) {
	made := t.TempDir()
	if err := generate("../data/weather.csv", made); err != nil {
		t.Fatal(err)
	}
	files := 0
	err := filepath.WalkDir(made, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		rel, err := filepath.Rel(made, path)
		if err != nil {
			return err
		}
		want, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		got, err := os.ReadFile(filepath.Join("..", "data", "sources", rel))
		if err != nil {
			return err
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not what the generator makes: go run ./generate in examples/etl, and read the difference", rel)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files != 5 {
		t.Errorf("the generator made %d files, want 5", files)
	}
}
