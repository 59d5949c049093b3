// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package onion_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"xeiaso.net/site/onion"
)

const clientKey = "N2NU7BSRL6YODZCYPN4CREB54TYLKGIE2KYOQWLFYC23ZJVCE5DQ"

func TestAWrongConfigurationIsRefusedByName(t *testing.T) {
	with, err := onion.New(onion.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer with.Close()
	for want, edit := range map[string]func(*onion.Config){
		"Dir":                  func(c *onion.Config) { c.Dir = "" },
		`"both"`:               func(c *onion.Config) { c.Mode = "both" },
		"port 0":               func(c *onion.Config) { c.Ports = []int{0} },
		"port 65536":           func(c *onion.Config) { c.Ports = []int{80, 65536} },
		"port 80":              func(c *onion.Config) { c.Ports = []int{80, 80} },
		"MaxStreams":           func(c *onion.Config) { c.MaxStreams = -1 },
		"5 a second":           func(c *onion.Config) { c.Introductions = onion.Rate{PerSecond: 5, Burst: 4} },
		"0 a second":           func(c *onion.Config) { c.PoW.Queue = onion.Rate{Burst: 4} },
		`"a b"`:                func(c *onion.Config) { c.Clients = []onion.ClientKey{{"a b", clientKey}} },
		`key of "a"`:           func(c *onion.Config) { c.Clients = []onion.ClientKey{{"a", "abc"}} },
		"two clients":          func(c *onion.Config) { c.Clients = []onion.ClientKey{{"a", clientKey}, {"A", clientKey}} },
		`"x.onion"`:            func(c *onion.Config) { c.OnionBalance = "x.onion" },
		"line break":           func(c *onion.Config) { c.Torrc = []string{"Log notice stdout\nDataDirectory /"} },
		`"datadirectory /"`:    func(c *onion.Config) { c.Torrc = []string{"# fine", "", "datadirectory /"} },
		`"+ControlPort 1"`:     func(c *onion.Config) { c.Torrc = []string{"+ControlPort 1"} },
		`HiddenServiceDir /x"`: func(c *onion.Config) { c.Torrc = []string{"  HiddenServiceDir /x"} },
		"ControlPassword":      func(c *onion.Config) { c.ControlPassword = "hush" },
		"Circuits":             func(c *onion.Config) { c.Control, c.Circuits = "127.0.0.1:9051", true },
		"Torrc cannot":         func(c *onion.Config) { c.Control, c.Torrc = "127.0.0.1:9051", []string{"Log notice stdout"} },
		"Heartbeat":            func(c *onion.Config) { c.Heartbeat = -1 },
		"MinBackoff":           func(c *onion.Config) { c.MinBackoff, c.MaxBackoff = time.Hour, time.Minute },
		"With":                 func(c *onion.Config) { c.With, c.Mode = with, onion.SingleHop },
	} {
		cfg := onion.Config{Dir: t.TempDir()}
		edit(&cfg)
		s, err := onion.New(cfg)
		if err == nil {
			s.Close()
			t.Errorf("%s: no error", want)
			continue
		}
		if !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "onion: ") || strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: the error is %v", want, err)
		}
	}
}

func TestTwoServicesWithOneKeyDoNotShareATor(t *testing.T) {
	key := onion.NewKey()
	first, err := onion.New(onion.Config{Dir: t.TempDir(), Key: key})
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	if second, err := onion.New(onion.Config{Dir: t.TempDir(), Key: key, With: first}); err == nil {
		second.Close()
		t.Error("no error")
	}
}

func TestTheKeyDecidesTheAddress(t *testing.T) {
	dir := t.TempDir()
	first, err := onion.New(onion.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	first.Close()
	second, err := onion.New(onion.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	second.Close()
	if first.Address() != second.Address() {
		t.Errorf("the address was %s and is %s", first.Address(), second.Address())
	}
	if _, err := onion.New(onion.Config{Dir: dir, Mode: onion.SingleHop}); !errors.Is(err, onion.ErrKeyMode) {
		t.Errorf("another mode: the error is %v", err)
	}
	if _, err := onion.New(onion.Config{Dir: dir, Key: onion.NewKey()}); err == nil || !strings.Contains(err.Error(), string(first.Address())) {
		t.Errorf("another key: the error is %v", err)
	}
}

func TestNoSecretIsPrinted(t *testing.T) {
	cfg := onion.Config{Dir: t.TempDir(), Key: onion.NewKey(), ControlPassword: "hush-hush", Control: "127.0.0.1:9051"}
	s, err := onion.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	secrets := []string{"hush-hush", cfg.Key.Control(), fmt.Sprint(cfg.Key.File()), fmt.Sprintf("%x", cfg.Key.File()[32:]), fmt.Sprint(cfg.Key.File()[32:40])}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%q", "%d"} {
		for _, v := range []any{cfg, &cfg, s, s.State()} {
			text := fmt.Sprintf(verb, v)
			for _, secret := range secrets {
				if strings.Contains(text, strings.Trim(secret, "[]")) {
					t.Errorf("%s of %T prints a secret: %s", verb, v, text)
				}
			}
		}
	}
}

func TestClientsAreRead(t *testing.T) {
	got, err := onion.ParseClientKeys("# who\n\nalice descriptor:x25519:" + clientKey + "\r\n  bob\tdescriptor:x25519:" + strings.ToLower(clientKey) + "  \n")
	if err != nil || len(got) != 2 || got[0] != (onion.ClientKey{"alice", clientKey}) || got[1].Name != "bob" {
		t.Errorf("%v, %v", got, err)
	}
	for _, text := range []string{"alice", "alice x25519:" + clientKey, "alice descriptor:x25519:" + clientKey + " more", "../x descriptor:x25519:" + clientKey} {
		if _, err := onion.ParseClientKeys("\n" + text); err == nil || !strings.Contains(err.Error(), "line 2") {
			t.Errorf("%q: the error is %v", text, err)
		}
	}
}

func FuzzClients(f *testing.F) {
	f.Add("alice descriptor:x25519:" + clientKey)
	f.Add("# x\n\na b\n")
	f.Fuzz(func(t *testing.T, text string) {
		keys, err := onion.ParseClientKeys(text)
		if err != nil {
			return
		}
		for _, k := range keys {
			if strings.ContainsAny(k.Name, "/.\x00 ") || len(k.Public) != 52 {
				t.Errorf("%q is a client: %q", text, k)
			}
		}
	})
}
