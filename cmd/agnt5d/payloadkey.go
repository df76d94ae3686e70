package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/seal"
)

// payloadKeyEnv names the file with the payload keys, for the daemon as --payload-key does, and for the verbs that read a journal.
const payloadKeyEnv = "AGNT5D_PAYLOAD_KEY"

// payloadKey reads the keys that seal payloads; path "": there are none.
func payloadKey(path string) (engine.Codec, error) {
	if path == "" {
		return nil, nil
	}
	keys, err := seal.Read(path)
	if err != nil {
		return nil, fmt.Errorf("the payload key: %w", err)
	}
	return keys, nil
}

// keyOfFile reads the keys for a verb that opens a journal itself.
func keyOfFile() (engine.Codec, error) { return payloadKey(os.Getenv(payloadKeyEnv)) }

// keyHint says how a verb gets the key that a journal wants.
func keyHint(err error) error {
	if errors.Is(err, engine.ErrKey) {
		return fmt.Errorf("%w; name the file with the keys in %s, or with --payload-key of serve", err, payloadKeyEnv)
	}
	return err
}
