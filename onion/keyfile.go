// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package onion

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"xeiaso.net/site/internal/atomicfile"
)

// Mode is whether a service hides where it is.
type Mode string

const (
	// Anonymous services hide where they are, by three more hops.
	Anonymous Mode = "anonymous"
	// SingleHop services do not, and answer faster: for sites whose place is known
	// anyway. Visitors are as anonymous as with the other.
	SingleHop Mode = "single-hop"
)

// ErrKeyMode: a key that was used in one mode is not used in the other. Who saw
// where a single-hop service was would know where the anonymous one is.
var ErrKeyMode = errors.New("onion: the key was used in the other mode")

// The files of a folder of keys. The first has tor's own name and form, so that
// the folder's content can be copied from and to a HiddenServiceDir.
const (
	keyFile  = "hs_ed25519_secret_key"
	modeFile = "mode.json"
)

// modeRecord is the content of modeFile. It names the key that it is about, so
// that it says nothing about another one that is put in its place.
type modeRecord struct {
	Address Address `json:"address"`
	Mode    Mode    `json:"mode"`
}

// LoadKey returns the key in a folder, and makes folder and key if there is none.
// The folder is readable by its owner alone; tor's own hostname file is written
// beside the key. The key stays bound to the mode: in another one the error
// matches [ErrKeyMode].
func LoadKey(dir string, mode Mode) (Key, error) {
	k, err := ReadKey(dir)
	if errors.Is(err, fs.ErrNotExist) {
		k = NewKey()
		if err = WriteKey(dir, k, mode); errors.Is(err, fs.ErrExist) {
			k, err = ReadKey(dir)
		}
	}
	if err != nil {
		return Key{}, err
	}
	return k, bind(dir, k, mode)
}

// ReadKey returns the key in a folder. The error matches [io/fs.ErrNotExist] if
// there is none, and [ErrKeyFormat] if it is damaged; it is then left as it is.
func ReadKey(dir string) (Key, error) {
	path := filepath.Join(dir, keyFile)
	raw, err := os.ReadFile(path)
	if err != nil {
		return Key{}, fmt.Errorf("onion: read the key: %w", err)
	}
	k, err := ParseKey(raw)
	if err != nil {
		return Key{}, fmt.Errorf("%w (%s): put back a copy of it, or remove it and lose the address", err, path)
	}
	return k, nil
}

// WriteKey puts a key into a folder, in place of none: a key that is there, and
// is another one, is not replaced, since its address would be lost.
func WriteKey(dir string, k Key, mode Mode) error {
	if k.IsZero() {
		return fmt.Errorf("%w: it is empty", ErrKeyFormat)
	}
	if err := checkMode(mode); err != nil {
		return err
	}
	if err := atomicfile.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("onion: make the folder of the key: %w", err)
	}
	switch old, err := ReadKey(dir); {
	case err == nil && !old.Equal(k):
		return fmt.Errorf("onion: there is a key for %s in %s; move it away first if its address is not needed any more", old.Address(), dir)
	case err == nil:
		return bind(dir, k, mode)
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	// The mode first: a key without one would take any.
	if err := bind(dir, k, mode); err != nil {
		return err
	}
	if err := writeOnce(dir, k); err != nil {
		return err
	}
	if err := atomicfile.Write(filepath.Join(dir, "hostname"), []byte(string(k.Address())+"\n"), 0o600); err != nil {
		return fmt.Errorf("onion: write the name beside the key: %w", err)
	}
	return nil
}

// writeOnce writes the key unless somebody was faster: of two processes that make
// a key at the same time, one has to use the other's.
func writeOnce(dir string, k Key) error {
	path := filepath.Join(dir, keyFile)
	draft := path + "." + strings.ToLower(rand.Text())
	if err := atomicfile.Write(draft, k.File(), 0o600); err != nil {
		return fmt.Errorf("onion: write the key: %w", err)
	}
	defer os.Remove(draft)
	switch err := os.Link(draft, path); {
	case errors.Is(err, fs.ErrExist):
		return fmt.Errorf("onion: another process has just made a key in %s: %w", dir, fs.ErrExist)
	case err != nil:
		return fmt.Errorf("onion: write the key: %w", err)
	}
	if err := atomicfile.SyncDir(dir); err != nil {
		return fmt.Errorf("onion: write the key: %w", err)
	}
	return nil
}

func checkMode(mode Mode) error {
	if mode != Anonymous && mode != SingleHop {
		return fmt.Errorf("onion: the mode is %q, want %q or %q", mode, Anonymous, SingleHop)
	}
	return nil
}

// bind ties a key to a mode, or reports that it is tied to the other.
func bind(dir string, k Key, mode Mode) error {
	if err := checkMode(mode); err != nil {
		return err
	}
	path := filepath.Join(dir, modeFile)
	raw, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("onion: read the mode of the key: %w", err)
	}
	var was modeRecord
	if err == nil && json.Unmarshal(bytes.TrimSpace(raw), &was) != nil {
		return fmt.Errorf("onion: %s is damaged; if the service never was in another mode than %q, remove the file", path, mode)
	}
	if was.Address == k.Address() {
		if was.Mode != mode {
			return fmt.Errorf("%w: %s is %s, and would be %s; take a new key, by removing %s", ErrKeyMode, was.Address, was.Mode, mode, dir)
		}
		return nil
	}
	raw, err = json.Marshal(modeRecord{k.Address(), mode})
	if err == nil {
		err = atomicfile.Write(path, append(raw, '\n'), 0o600)
	}
	if err != nil {
		return fmt.Errorf("onion: write the mode of the key: %w", err)
	}
	return nil
}
