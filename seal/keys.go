// Package seal seals texts with AES-256-GCM under one of several keys. *Keys is an engine.Codec: payloads at rest.
package seal

import (
	"bufio"
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// Keys are keys with their ids. The last one seals; each opens what it has sealed.
type Keys struct {
	last string
	all  map[string]cipher.AEAD
}

// KeyBytes is how long a key is.
const KeyBytes = 32

// Parse reads keys: a line each with an id and 32 bytes in base64, the newest last. Empty lines and those that begin with # are nothing.
// No key stands in an error.
func Parse(text []byte) (*Keys, error) {
	k := &Keys{all: map[string]cipher.AEAD{}}
	in := bufio.NewScanner(bytes.NewReader(text))
	for n := 1; in.Scan(); n++ {
		line := strings.Fields(in.Text())
		if len(line) == 0 || strings.HasPrefix(line[0], "#") {
			continue
		}
		if len(line) != 2 {
			return nil, fmt.Errorf("line %d: want an id and a key, with a space between", n)
		}
		if err := k.add(line[0], line[1]); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
	}
	if err := in.Err(); err != nil {
		return nil, err
	}
	if k.last == "" {
		return nil, errors.New("there is no key in it: want lines with an id and 32 bytes in base64, the newest last")
	}
	return k, nil
}

func (k *Keys) add(id, text string) error {
	key, err := base64.StdEncoding.DecodeString(text)
	switch {
	case err != nil || len(key) != KeyBytes:
		return fmt.Errorf("the key %q is not 32 bytes in base64", clip(id))
	case len(id) > 64:
		return fmt.Errorf("the id %q... is longer than 64 bytes", clip(id))
	case k.all[id] != nil:
		return fmt.Errorf("the id %q is given twice", id)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return err
	}
	k.last, k.all[id] = id, aead
	return nil
}

// clip keeps a key that stands in the wrong place out of an error.
func clip(id string) string {
	if len(id) > 16 {
		return id[:4] + "..."
	}
	return id
}

// Read reads the keys of a file.
func Read(path string) (*Keys, error) {
	b, err := os.ReadFile(path)
	if err != nil && isKey(path) {
		return nil, errors.New("what was given is a key and not the name of a file, so it is not repeated here; put it into a file, with an id before it")
	}
	if err != nil {
		return nil, err
	}
	k, err := Parse(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return k, nil
}

// isKey says whether somebody gave a key, perhaps with its id, where a file's name is wanted.
func isKey(text string) bool {
	for _, word := range strings.Fields(text) {
		if b, err := base64.StdEncoding.DecodeString(word); err == nil && len(b) == KeyBytes {
			return true
		}
	}
	return false
}

// ReadOrMake is Read of a file that is made when there is none, with one random key, for its owner alone (0600). made: it was.
func ReadOrMake(path string) (k *Keys, made bool, err error) {
	k, err = Read(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return k, false, err
	}
	var key [KeyBytes]byte
	_, _ = rand.Read(key[:]) // it does not fail
	var id [4]byte
	_, _ = rand.Read(id[:])
	text := fmt.Sprintf("%x %s\n", id, base64.StdEncoding.EncodeToString(key[:]))
	if err := writeWhole(path, text); err != nil {
		return nil, false, err
	}
	k, err = Parse([]byte(text))
	return k, true, err
}

// writeWhole makes a file that is there whole or not at all.
func writeWhole(path, text string) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".key-*") // 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes a new name durable. On Windows a directory cannot be synced, and its names have a log of their own.
func syncDir(path string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

// KeyID is the id of the key that seals.
func (k *Keys) KeyID() string { return k.last }

// Seal seals a text for a place.
func (k *Keys) Seal(plain, place []byte) []byte { return k.all[k.last].Seal(nil, nil, plain, place) }

// Open opens what Seal made of a text for that place under the key of that id.
func (k *Keys) Open(keyID string, sealed, place []byte) ([]byte, error) {
	aead := k.all[keyID]
	if aead == nil {
		return nil, fmt.Errorf("there is no key %q", keyID)
	}
	return aead.Open(nil, nil, sealed, place)
}
