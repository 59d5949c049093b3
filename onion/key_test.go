// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package onion_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"xeiaso.net/site/onion"
)

func TestKeysGoOutAndComeBack(t *testing.T) {
	for range 20 {
		k := onion.NewKey()
		for name, form := range map[string][]byte{"file": k.File(), "control": []byte(k.Control()), "control line": []byte(k.Control() + "\n")} {
			back, err := onion.ParseKey(form)
			if err != nil || !back.Equal(k) || back.Address() != k.Address() {
				t.Errorf("%s: %v", name, err)
			}
		}
		a, err := onion.ParseAddress(strings.ToUpper(string(k.Address())))
		if err != nil || a != k.Address() {
			t.Errorf("%s: %v", k.Address(), err)
		}
	}
	if onion.NewKey().Equal(onion.NewKey()) {
		t.Error("two keys are the same")
	}
}

// The scalar 8 is that of the point that is eight times the base point.
func TestTheAddressOfAKnownKey(t *testing.T) {
	raw := make([]byte, 64)
	raw[0], raw[31] = 8, 64
	k, err := onion.ParseKey(append([]byte("== ed25519v1-secret: type0 ==\x00\x00\x00"), raw...))
	if err != nil {
		t.Fatal(err)
	}
	if len(k.Address()) != 62 || !strings.HasSuffix(string(k.Address()), "d.onion") {
		t.Errorf("the address is %s", k.Address()) // every address of version 3 ends in d
	}
	if k.Address().URL() != "http://"+k.Address().ID()+".onion/" {
		t.Errorf("%s", k.Address().URL())
	}
}

func TestWhatIsNoKey(t *testing.T) {
	good := onion.NewKey()
	seed := good.File()
	seed[32] |= 1
	for name, data := range map[string][]byte{
		"empty":        nil,
		"text":         []byte("hello"),
		"cut off":      good.File()[:95],
		"too long":     append(good.File(), 0),
		"a public key": append([]byte("== ed25519v1-public: type0 ==\x00\x00\x00"), make([]byte, 32)...),
		"not clamped":  seed,
		"not base64":   []byte("ED25519-V3:!"),
		"short base64": []byte("ED25519-V3:AAAA"),
	} {
		if _, err := onion.ParseKey(data); !errors.Is(err, onion.ErrKeyFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWhatIsNoAddress(t *testing.T) {
	good := string(onion.NewKey().Address())
	wrong := "a" + good[1:]
	if wrong == good {
		wrong = "b" + good[1:]
	}
	for _, s := range []string{"", "example.com", ".onion", "expyuzz4wqqyqhjn.onion", good[:55] + ".onion", wrong, strings.TrimSuffix(good, ".onion"), "www." + good} {
		if _, err := onion.ParseAddress(s); !errors.Is(err, onion.ErrAddress) {
			t.Errorf("%q: %v", s, err)
		}
	}
}

func TestKeysDoNotShow(t *testing.T) {
	k := onion.NewKey()
	var out bytes.Buffer
	holder := struct{ K onion.Key }{k}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		fmt.Fprintf(&out, verb+" "+verb+"\n", k, holder)
	}
	slog.New(slog.NewJSONHandler(&out, nil)).Info("m", "key", k, "holder", holder)
	if err := json.NewEncoder(&out).Encode(holder); err != nil {
		t.Fatal(err)
	}
	raw := k.File()[32:]
	for _, form := range []string{string(raw[:8]), hex.EncodeToString(raw[:8]), strings.ToUpper(hex.EncodeToString(raw[:8])), strings.TrimPrefix(k.Control(), "ED25519-V3:")[:12], fmt.Sprint(raw[:8])} {
		if strings.Contains(out.String(), form) {
			t.Errorf("%q shows", form)
		}
	}
}

func TestAKeyIsMadeOnceAndStays(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "deep", "onion")
	k, err := onion.LoadKey(dir, onion.Anonymous)
	if err != nil {
		t.Fatal(err)
	}
	again, err := onion.LoadKey(dir, onion.Anonymous)
	if err != nil || !again.Equal(k) {
		t.Errorf("the second time: %v", err)
	}
	for _, name := range []string{"", "hs_ed25519_secret_key", "hostname", "mode.json"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%q is readable by others: %s", name, info.Mode())
		}
	}
	if name, _ := os.ReadFile(filepath.Join(dir, "hostname")); strings.TrimSpace(string(name)) != string(k.Address()) {
		t.Errorf("the name beside the key is %q", name)
	}
}

func TestAKeyKeepsItsMode(t *testing.T) {
	dir := t.TempDir()
	k, err := onion.LoadKey(dir, onion.SingleHop)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := onion.LoadKey(dir, onion.Anonymous); !errors.Is(err, onion.ErrKeyMode) || !strings.Contains(err.Error(), string(k.Address())) {
		t.Errorf("%v", err)
	}
	if _, err := onion.LoadKey(dir, "fast"); err == nil {
		t.Error("there is a third mode")
	}
	// The key of another service in the same folder is another matter.
	other := onion.NewKey()
	if err := os.WriteFile(filepath.Join(dir, "hs_ed25519_secret_key"), other.File(), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := onion.LoadKey(dir, onion.Anonymous); err != nil || !got.Equal(other) {
		t.Errorf("%v", err)
	}
}

func TestKeysAreNotOverwritten(t *testing.T) {
	dir := t.TempDir()
	k := onion.NewKey()
	if err := onion.WriteKey(dir, k, onion.Anonymous); err != nil {
		t.Fatal(err)
	}
	if err := onion.WriteKey(dir, k, onion.Anonymous); err != nil {
		t.Errorf("the same key again: %v", err)
	}
	if err := onion.WriteKey(dir, onion.NewKey(), onion.Anonymous); err == nil || !strings.Contains(err.Error(), string(k.Address())) {
		t.Errorf("another key: %v", err)
	}
	if err := onion.WriteKey(dir, onion.Key{}, onion.Anonymous); !errors.Is(err, onion.ErrKeyFormat) {
		t.Errorf("no key: %v", err)
	}
	if got, err := onion.ReadKey(dir); err != nil || !got.Equal(k) {
		t.Errorf("%v", err)
	}
	if _, err := onion.ReadKey(t.TempDir()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

// A key that is damaged may be mended by a copy of it; a new one would lose the
// address for ever.
func TestADamagedKeyIsLeftAlone(t *testing.T) {
	dir := t.TempDir()
	if _, err := onion.LoadKey(dir, onion.Anonymous); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "hs_ed25519_secret_key")
	if err := os.Truncate(path, 50); err != nil {
		t.Fatal(err)
	}
	if _, err := onion.LoadKey(dir, onion.Anonymous); !errors.Is(err, onion.ErrKeyFormat) || !strings.Contains(err.Error(), path) {
		t.Errorf("%v", err)
	}
	if info, err := os.Stat(path); err != nil || info.Size() != 50 {
		t.Errorf("the file was changed: %v", err)
	}
}

func FuzzParseKey(f *testing.F) {
	k := onion.NewKey()
	f.Add(k.File())
	f.Add([]byte(k.Control()))
	f.Add([]byte("ED25519-V3:"))
	f.Fuzz(func(t *testing.T, data []byte) {
		k, err := onion.ParseKey(data)
		if err != nil {
			return
		}
		back, err := onion.ParseKey(k.File())
		if err != nil || !back.Equal(k) {
			t.Errorf("it does not come back: %v", err)
		}
		if _, err := onion.ParseAddress(string(k.Address())); err != nil {
			t.Error(err)
		}
	})
}
