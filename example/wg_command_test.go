// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"xeiaso.net/site/wg"
)

// wgCommand runs a command about keys and files.
func wgCommand(t *testing.T, input string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	var out, errs strings.Builder
	err = runWG(args, strings.NewReader(input), &out, &errs)
	return out.String(), errs.String(), err
}

func TestKeysAreMadeByCommand(t *testing.T) {
	private, _, err := wgCommand(t, "", "genkey")
	if err != nil {
		t.Fatal(err)
	}
	key, err := wg.ParseKey(strings.TrimSuffix(private, "\n"))
	if err != nil {
		t.Fatal(err)
	}
	if public, _, err := wgCommand(t, private, "pubkey"); err != nil || public != key.Public().String()+"\n" {
		t.Errorf("%q, %v", public, err)
	}
	if shared, _, err := wgCommand(t, "", "genpsk"); err != nil || len(shared) != 45 || shared == private {
		t.Errorf("%q, %v", shared, err)
	}
	path := filepath.Join(t.TempDir(), "key")
	for mode, warned := range map[os.FileMode]bool{0o600: false, 0o644: true} {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, mode)
		if err != nil {
			t.Fatal(err)
		}
		f.Chmod(mode)
		var errs strings.Builder
		if err := runWG([]string{"genkey"}, nil, f, &errs); err != nil || (errs.String() != "") != warned {
			t.Errorf("to a file of mode %o: %q, %v", mode, errs.String(), err)
		}
		f.Close()
	}
	const wrong = "canary-key"
	if _, _, err := wgCommand(t, wrong, "pubkey"); err == nil || strings.Contains(err.Error(), wrong) {
		t.Errorf("no key: %v", err)
	}
	for _, args := range [][]string{{"burn"}, {"genkey", "x"}, {"check"}, {"check", "a", "b"}, {"check", "/nowhere/wg.conf"}} {
		if out, _, err := wgCommand(t, "", args...); err == nil || out != "" {
			t.Errorf("%v: %q, %v", args, out, err)
		}
	}
	for _, args := range [][]string{nil, {"help"}, {"-h"}, {"--help"}} {
		if out, errs, err := wgCommand(t, "", args...); err != nil || out != "" || !strings.Contains(errs, "check FILE") {
			t.Errorf("%v: %q, %q, %v", args, out, errs, err)
		}
	}
}

func TestAFileIsChecked(t *testing.T) {
	private, shared, peer := wg.NewKey(), wg.NewSharedKey(), wg.NewKey().Public()
	good := "[Interface]\nPrivateKey = " + private.Reveal() + "\nAddress = fdaa:0:99:a7b:0:2:0:2/120\nPostUp = echo " + shared.Reveal() +
		"\n[Peer]\nPublicKey = " + peer.String() + "\nPresharedKey = " + shared.Reveal() + "\nAllowedIPs = fdaa:0:99::/48\nEndpoint = gateway.example:51820\nPersistentKeepalive = 15\n"
	path := file(t, good)
	out, _, err := wgCommand(t, "", "check", path)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		private.Public().String(), "fdaa:0:99:a7b:0:2:0:2/120", "fdaa:0:99::3 (that of the network at Fly.io)", "1420", "a free one",
		"Peer " + peer.String(), "gateway.example:51820", "fdaa:0:99::/48", "15s", "there is one", "line 4: PostUp",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not told:\n%s", want, out)
		}
	}
	if strings.Contains(out, "Warnings") || strings.Contains(out, private.Reveal()) || strings.Contains(out, shared.Reveal()) {
		t.Errorf("it tells:\n%s", out)
	}
	if from, _, err := wgCommand(t, good, "check", "-"); err != nil || from != out {
		t.Errorf("from the input: %s, %v", from, err)
	}
	os.Chmod(path, 0o644)
	if out, _, err := wgCommand(t, "", "check", path); err != nil || !strings.Contains(out, "chmod 600") {
		t.Errorf("a file that everybody can read: %s, %v", out, err)
	}
	for _, c := range []struct{ from, to, want string }{
		{"gateway.example:51820", "gateway.example", "line 9, Endpoint"},
		{private.Reveal(), "canary" + private.Reveal()[:30], "line 2, PrivateKey"},
		{"AllowedIPs", "AllowedIP", "line 8, AllowedIP"},
		{"PublicKey", "# PublicKey", "line 5"},
	} {
		path := file(t, strings.Replace(good, c.from, c.to, 1))
		out, _, err := wgCommand(t, "", "check", path)
		if err == nil || out != "" || !strings.HasPrefix(err.Error(), path+": ") || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %q, %v", c.to, out, err)
		}
	}
}
