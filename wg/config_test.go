// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package wg_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"xeiaso.net/site/wg"
)

var (
	private = wg.NewKey()
	shared  = wg.NewSharedKey()
	peer1   = wg.NewKey().Public()
	peer2   = wg.NewKey().Public()
)

func parse(text string) (*wg.Config, error) { return wg.ParseConfig(strings.NewReader(text)) }

func prefixes(list ...string) (p []netip.Prefix) {
	for _, s := range list {
		p = append(p, netip.MustParsePrefix(s))
	}
	return p
}

// same compares what is not a secret, and keys.
var same = cmp.Options{
	cmp.Comparer(func(a, b wg.Key) bool { return a.Equal(b) }),
	cmp.Comparer(func(a, b wg.PublicKey) bool { return a == b }),
	cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
	cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
	cmpopts.EquateEmpty(),
}

func TestAFileOfWgQuickIsRead(t *testing.T) {
	text := "\ufeff# made by hand\r\n" +
		"[Interface] # this end\r\n" +
		"PrivateKey = " + private.Reveal() + "\r\n" +
		"Address = 10.99.0.2/24, fd99::2/64\r\n" +
		"address=10.99.1.2\r\n" +
		"DNS = 10.99.0.1, Example.INTERNAL., ::ffff:10.99.0.9\r\n" +
		"DNS = fd99::1,corp\r\n" +
		"MTU = 1280\r\n" +
		"ListenPort=51820\r\n" +
		"Table = off\r\n" +
		"PostUp = iptables -A FORWARD -j ACCEPT; echo hush\r\n" +
		"PostUp = again\r\n" +
		"\r\n" +
		"[Peer]\r\n" +
		"PublicKey=" + peer1.String() + "\r\n" +
		"PresharedKey = " + shared.Reveal() + "\r\n" +
		"Endpoint = vpn.Example.com:51820\r\n" +
		"AllowedIPs = 10.99.0.0/16, 192.168.7.9/24\r\n" +
		"AllowedIPs = fd99::/48,10.1.2.3, ::/0\r\n" +
		"PersistentKeepalive = 25\r\n" +
		"[PEER]\r\n" +
		"publickey = " + peer2.String() + "\r\n" +
		"AllowedIPs =\r\n" +
		"Endpoint = [2001:db8::1]:443\r\n" +
		"PersistentKeepalive = off"
	want := &wg.Config{
		PrivateKey: private,
		Addresses:  prefixes("10.99.0.2/24", "fd99::2/64", "10.99.1.2/32"),
		DNS:        []netip.Addr{netip.MustParseAddr("10.99.0.1"), netip.MustParseAddr("10.99.0.9"), netip.MustParseAddr("fd99::1")},
		Search:     []string{"example.internal", "corp"},
		MTU:        1280, ListenPort: 51820,
		Peers: []wg.Peer{
			{PublicKey: peer1, PresharedKey: shared, Endpoint: "vpn.Example.com:51820", AllowedIPs: prefixes("10.99.0.0/16", "192.168.7.0/24", "fd99::/48", "10.1.2.3/32", "::/0"), Keepalive: 25 * time.Second},
			{PublicKey: peer2, Endpoint: "[2001:db8::1]:443"},
		},
		Ignored: []string{"line 10: Table", "line 11: PostUp", "line 12: PostUp"},
	}
	got, err := parse(text)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, same); diff != "" {
		t.Error(diff)
	}
}

func TestAMistakeIsNamedWithItsLine(t *testing.T) {
	begin := "[Interface]\nPrivateKey = " + private.Reveal() + "\nAddress = 10.0.0.2\n"
	for text, want := range map[string]string{
		"PrivateKey = x":                                                  "line 1, PrivateKey: it stands before",
		"[Interface":                                                      "line 1: \"[Interface\" is no section",
		"[Server]":                                                        "line 1: \"[Server]\" is no section",
		"[Interface]\nhello":                                              "line 2: it is neither",
		"[Interface]\na b = c":                                            "line 2: what stands before",
		"[Interface]\nPrivateKey = hush":                                  "line 2, PrivateKey: wg: this is no key: it has 4 characters",
		"[Interface]\nPublicKey = x":                                      "line 2, PublicKey: an [Interface] has no such key",
		begin + "PrivateKey = x":                                          "line 4, PrivateKey: it stands there twice",
		begin + "Address = 10.0.0.300":                                    `line 4, Address: "10.0.0.300" is no address`,
		begin + "Address = 10.0.0.1/33":                                   `line 4, Address: the length of the network of "10.0.0.1/33"`,
		begin + "Address = fe80::1%eth0/64":                               "line 4, Address",
		begin + "Address = 10.0.0.1,":                                     "line 4, Address",
		begin + "DNS = 10.0.0.1, not a name":                              `line 4, DNS: "not a name" is neither`,
		begin + "MTU = 20":                                                `line 4, MTU: "20" is no number from 576`,
		begin + "ListenPort = 65536":                                      "line 4, ListenPort",
		begin + "[Peer]\n\n[Peer]":                                        "line 4: this peer has no PublicKey",
		begin + "[Peer]\nAllowedIPs = 10.0.0.0/8":                         "line 4: this peer has no PublicKey",
		begin + "[Peer]\nEndpoint = 10.0.0.1":                             `line 5, Endpoint: "10.0.0.1" is not of the form`,
		begin + "[Peer]\nEndpoint = fd00::1:51820":                        "line 5, Endpoint",
		begin + "[Peer]\nEndpoint = a b:51820":                            "line 5, Endpoint: the host",
		begin + "[Peer]\nEndpoint = a:0":                                  "line 5, Endpoint: the port",
		begin + "[Peer]\nPersistentKeepalive = -1":                        "line 5, PersistentKeepalive",
		begin + "[Peer]\nPublicKey = " + peer1.String() + "\nTable = off": "line 6, Table: a [Peer] has no such key",
		"": "there is no PrivateKey",
		"[Interface]\nPrivateKey = " + private.Reveal():                                             "there is no Address",
		begin + "[Peer]\nPublicKey = " + peer1.String() + "\n[Peer]\nPublicKey = " + peer1.String(): "two peers with the key " + peer1.String(),
		begin + "[Peer]\nPublicKey = " + private.Public().String():                                  "has the key of this end",
		strings.Repeat("# long\n", 1<<18):                                                           "more than 1048576 bytes",
	} {
		_, err := parse(text)
		if err == nil {
			t.Errorf("%.80q: no error", text)
			continue
		}
		if !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "wg: ") {
			t.Errorf("%.80q: the error is %v, want %s", text, err, want)
		}
		if strings.Contains(err.Error(), "hush") || strings.Contains(err.Error(), private.Reveal()) {
			t.Errorf("a key is in the error: %v", err)
		}
		var at *wg.ParseError
		if strings.Contains(want, "line") && !errors.As(err, &at) {
			t.Errorf("%.80q: the error is a %T", text, err)
		}
	}
}

func TestKeysAreThoseOfWireGuard(t *testing.T) {
	// Of RFC 7748, 6.1.
	raw := "dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo="
	k, err := wg.ParseKey(raw)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := k.Public().String(), "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo="; got != want {
		t.Errorf("the public key is %s, want %s", got, want)
	}
	if k.Reveal() != raw || k.IsZero() || !(wg.Key{}).IsZero() || !k.Equal(k) || k.Equal(private) {
		t.Error("the key is not what was read")
	}
	for _, s := range []string{"", "x", raw + "=", raw[:43], " " + raw[1:], strings.Replace(raw, "o=", "p=", 1), raw + "\n"} {
		if _, err := wg.ParseKey(s); !errors.Is(err, wg.ErrKey) {
			t.Errorf("%q: the error is %v", s, err)
		}
	}
	if a, b := wg.NewKey(), wg.NewKey(); a.Equal(b) || a.Public() == b.Public() {
		t.Error("two new keys are the same")
	}
	var back wg.PublicKey
	text, _ := json.Marshal(peer1)
	if err := json.Unmarshal(text, &back); err != nil || back != peer1 {
		t.Errorf("%s: %v, %v", text, back, err)
	}
}

func TestKeysDoNotPrintThemselves(t *testing.T) {
	c := wg.Config{PrivateKey: private, Addresses: prefixes("10.0.0.2/32"), Peers: []wg.Peer{{PublicKey: peer1, PresharedKey: shared}}}
	var out strings.Builder
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "config", c, "key", private, "peer", c.Peers[0])
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d", "%q"} {
		hidden := struct {
			config wg.Config
			key    wg.Key
		}{c, private}
		for _, v := range []any{c, &c, private, &private, c.Peers[0], c.Peers, hidden, &hidden} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
	}
	for _, v := range []any{c, private, c.Peers} {
		text, err := json.Marshal(v)
		if err != nil {
			t.Error(err)
		}
		out.Write(text)
	}
	raw := fmt.Sprintf("%x", mustDecode(private.Reveal()))
	decimal := strings.Trim(fmt.Sprint(mustDecode(private.Reveal())[:8]), "[]")
	syntax := fmt.Sprintf("%#v", mustDecode(private.Reveal())[:8])
	syntax = syntax[strings.Index(syntax, "{")+1 : len(syntax)-1]
	for _, secret := range []string{private.Reveal(), shared.Reveal(), raw, decimal, syntax} {
		if strings.Contains(out.String(), secret) {
			t.Errorf("a key is printed: %s", out.String())
		}
	}
}

func TestErrorsAboutAFileHaveNoKeysInThem(t *testing.T) {
	key := private.Reveal()
	peer := "[Interface]\nPrivateKey = " + key + "\nAddress = 10.0.0.2/32\n[Peer]\nPublicKey = " + peer1.String() + "\n"
	for _, text := range []string{
		"[Interface] PrivateKey = " + key + " Address = 10.0.0.2/32 [Peer] PublicKey = " + peer1.String(), // on one line
		"[Interface]\nAddress = 10.0.0.2/32 PrivateKey = " + key,
		"[Interface]\nMTU = 1420 PrivateKey = " + key,
		"[Interface]\nMTU = " + key, "[Interface]\nListenPort = " + key, "[Interface]\nDNS = " + key, "[Interface]\nAddress = " + key,
		"[Interface]\nPrivateKey " + key, "[Interface]\nPrivateKey: " + key, "[Interface]\n" + key, key,
		"[Interface]\nPrivateKey = '" + key + "'", "[Interface]\nPrivateKey = " + key + key, "[Interface]\nPrivateKey = " + key[1:],
		peer + "Endpoint = " + key, peer + "Endpoint = " + key + ":1", peer + "Endpoint = a.example:" + key,
		peer + "Endpoint = a.example:1 PresharedKey = " + key,
		peer + "AllowedIPs = 10.0.0.0/" + key, peer + "AllowedIPs = " + key, peer + "PersistentKeepalive = " + key,
	} {
		_, err := parse(text)
		if err == nil {
			t.Errorf("%q is taken", text)
		} else if strings.Contains(err.Error(), strings.Trim(key, "=")[1:]) {
			t.Errorf("the key is in %q", err)
		}
	}
	if _, err := parse("[Interface]\nMTU = not a number"); !strings.Contains(err.Error(), `"not a number"`) {
		t.Errorf("a value that is no key: %v", err)
	}
}

func FuzzParseConfig(f *testing.F) {
	f.Add("[Interface]\nPrivateKey = " + private.Reveal() + "\nAddress = 10.0.0.2/24, fd00::2\nDNS = 10.0.0.1, corp\n[Peer]\nPublicKey = " + peer1.String() + "\nAllowedIPs = 0.0.0.0/0, ::/0\nEndpoint = a.example:1\n")
	f.Add("[Peer]\n")
	f.Add("[interface]\nmtu=1280#x\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parse(text)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "wg: ") {
				t.Errorf("the error is %v", err)
			}
			return
		}
		if c.PrivateKey.IsZero() || len(c.Addresses) == 0 {
			t.Errorf("%q is taken", text)
		}
		for _, p := range c.Peers {
			for _, a := range p.AllowedIPs {
				if !a.IsValid() || a != a.Masked() {
					t.Errorf("%q: AllowedIPs has %s", text, a)
				}
			}
		}
	})
}

func mustDecode(s string) []byte {
	var raw []byte
	if err := json.Unmarshal([]byte(`"`+s+`"`), &raw); err != nil { // JSON has bytes in base64
		panic(err)
	}
	return raw
}

func TestTheNameServerOfFlyIsKnown(t *testing.T) {
	text := "[Interface]\nPrivateKey = " + private.Reveal() + "\nAddress = fdaa:0:4d:a7b:1:0:a:2/120\n"
	for more, want := range map[string]string{"": "[fdaa:0:4d::3]", "DNS = fdaa:0:4d::53\n": "[fdaa:0:4d::53]"} {
		c, err := parse(text + more)
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(c.Servers()); got != want {
			t.Errorf("%q: the servers are %s, want %s", more, got, want)
		}
	}
}

func TestMappedAddressesDoNotPassForOthers(t *testing.T) {
	good := wg.Config{PrivateKey: private, Addresses: prefixes("10.0.0.2/32"), Peers: []wg.Peer{{PublicKey: peer1}}}
	tunnel, err := wg.New(&good, wg.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer tunnel.Close()
	for _, change := range []func(*wg.Config){
		func(c *wg.Config) { c.Addresses = prefixes("::ffff:0.0.0.0/128") },
		func(c *wg.Config) {
			c.Peers = []wg.Peer{{PublicKey: peer1, AllowedIPs: prefixes("::ffff:10.0.0.0/104")}}
		},
	} {
		bad := good
		bad.ListenPort = 1
		change(&bad)
		if err := tunnel.Reconfigure(&bad); err == nil || tunnel.Status().ListenPort != 0 {
			t.Errorf("it is taken: %v", err)
		}
		if tunnel, err := wg.New(&bad, wg.Options{}); err == nil {
			tunnel.Close()
			t.Error("it is taken")
		}
	}
}
